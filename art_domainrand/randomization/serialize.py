"""Pipelines as plain dicts, JSON and YAML, and back.

A document is ``{"version": 1, "transforms": [...]}``. Every transform is a mapping with its name from ``TRANSFORMS``
under "type" (a domain's is "domain." and its name from ``DOMAINS``, or "domain.unforeseen";
those of ``COMPOSITIONS`` and "random_corruption" are the others) and its arguments; those left out have their defaults.
One that was learned, such as "domain.generator", has the "file" that it was saved to and a hash of its "weights".
A distribution is a number, a pair [low, high], or a mapping such as ``{"type": "log_uniform", "low": 0.5, "high": 2}``;
a modality is a mapping with the type "image", "depth" or "mask".
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from art_domainrand.core.decoding import Reader, field_hints, read_as
from art_domainrand.core.documents import files_beside, read_json_text, read_yaml
from art_domainrand.core.files import check_file
from art_domainrand.randomization.core.beta import Beta
from art_domainrand.randomization.core.chain import Chain
from art_domainrand.randomization.core.clipped import Clipped
from art_domainrand.randomization.core.composites import OneOf, Sometimes
from art_domainrand.randomization.core.distributions import (
    Choice,
    Constant,
    Distribution,
    LogUniform,
    Normal,
    TruncatedNormal,
    Uniform,
)
from art_domainrand.randomization.core.mixed_chains import MixedChains
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.random_depth import RandomDepth
from art_domainrand.randomization.core.random_order import RandomOrder
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.domains import DOMAINS, UnforeseenDomain
from art_domainrand.randomization.kept import KEPT, KeptInFile, kept_class, kept_name
from art_domainrand.randomization.modalities.kinds import MODALITIES
from art_domainrand.randomization.modalities.modality import Modality
from art_domainrand.randomization.modalities.stacked import StackedModalities
from art_domainrand.randomization.transforms.channels import OnChannels
from art_domainrand.randomization.transforms.random_corruption import RandomCorruption
from art_domainrand.randomization.transforms.table import TRANSFORMS

DOCUMENT_VERSION = 1
"""The version of the document's layout, not of the package."""

DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "constant": Constant,
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "normal": Normal,
    "truncated_normal": TruncatedNormal,
    "choice": Choice,
    "beta": Beta,
}
"""Name -> class."""

COMPOSITIONS: dict[str, type[Transform]] = {
    "pipeline": Chain,
    "sometimes": Sometimes,
    "one_of": OneOf,
    "random_order": RandomOrder,
    "random_depth": RandomDepth,
    "mixed_chains": MixedChains,
    "clipped": Clipped,
    "on_channels": OnChannels,
    "stacked_modalities": StackedModalities,
}
"""Name -> class, of the transforms that are made of others."""


def to_dict(pipeline: Pipeline) -> dict[str, Any]:
    """Describe a pipeline by dicts, lists, numbers and text alone.

    Every argument is written, also the defaults; a learned bound is written as the number it is now.

    :param pipeline: the pipeline.
    :raises ValueError: for what has no name in the tables: a Kornia module, a domain fitted to references, a class of
        your own, also one that is made from a class of ours; and for a learned domain that was not saved.
    """
    return _document_of(pipeline, saved=True)


def to_record(pipeline: Pipeline) -> dict[str, Any]:
    """What :func:`to_dict` returns, also of a learned domain without a file: it is known by its weights.

    :param pipeline: the pipeline.
    :raises ValueError: for the other things that :func:`to_dict` refuses.
    """
    return _document_of(pipeline, saved=False)


def from_dict(document: Any) -> Pipeline:
    """Build the pipeline that :func:`to_dict` described.

    :param document: ``{"version": 1, "transforms": [...]}``; arguments that are left out have their defaults.
    :raises ValueError: naming the place in the document: an unknown key or name (with the known ones), a value of the
        wrong type, or one that its transform refuses.
    """
    _check_keys(document, "document", ["version", "transforms"], ["version", "transforms"])
    version = document["version"]
    if isinstance(version, bool) or version != DOCUMENT_VERSION:
        raise ValueError(f"version must be {DOCUMENT_VERSION}, got {version!r}")
    return Pipeline(read_as(tuple[Transform, ...], document["transforms"], "transforms", _READERS))


def to_json(pipeline: Pipeline) -> str:
    """Describe a pipeline as JSON text.

    :param pipeline: the pipeline.
    :raises ValueError: as :func:`to_dict` does.
    """
    return json.dumps(to_dict(pipeline), indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> Pipeline:
    """Build a pipeline from JSON text.

    :param text: what :func:`to_json` wrote, or a document like it.
    :raises ValueError: as :func:`from_dict` does, and for text that is no JSON.
    """
    return from_dict(read_json_text(text))


def to_yaml(pipeline: Pipeline) -> str:
    """Describe a pipeline as YAML text.

    :param pipeline: the pipeline.
    :raises ValueError: as :func:`to_dict` does.
    """
    return yaml.safe_dump(to_dict(pipeline), sort_keys=False)


def from_yaml(text: str) -> Pipeline:
    """Build a pipeline from YAML text, by ``yaml.safe_load``.

    Aliases (``*name``) are refused: a few lines of them can stand for a document of any size, or for one in itself.

    :param text: what :func:`to_yaml` wrote, or a document like it.
    :raises ValueError: as :func:`from_dict` does, and for text that is no YAML or has aliases.
    """
    return from_dict(read_yaml(text))


def save_pipeline(pipeline: Pipeline, path: str | Path) -> None:
    """Write a pipeline to a file; whole, or not at all.

    :param pipeline: the pipeline.
    :param path: the file, JSON or YAML by its suffix: .json, .yaml or .yml.
    :raises ValueError: for another suffix, and as :func:`to_dict` does.
    """
    path = Path(path)
    text = (to_json if _is_json(path) else to_yaml)(pipeline)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        whole = Path(folder, path.name)  # beside path, so that it can be moved there in one step
        whole.write_text(text, encoding="utf-8")
        os.replace(whole, path)


def load_pipeline(path: str | Path) -> Pipeline:
    """Read a pipeline from a file. Relative files that it names are looked for in the working folder, then beside it.

    :param path: the file, JSON or YAML by its suffix: .json, .yaml or .yml.
    :raises ValueError: as :func:`from_dict` does, after the file's name.
    """
    path = check_file("path", path)
    read = read_json_text if _is_json(path) else read_yaml
    try:
        return from_dict(files_beside(read(path.read_text(encoding="utf-8")), path.parent))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _is_json(path: Path) -> bool:
    if path.suffix not in (".json", ".yaml", ".yml"):
        raise ValueError(f"path must end in .json, .yaml or .yml, got {str(path)!r}")
    return path.suffix == ".json"


def _document_of(pipeline: Pipeline, saved: bool) -> dict[str, Any]:
    if type(pipeline) is not Pipeline:  # which would be read back as one that does not do what is its own
        raise ValueError(f"pipeline must be a Pipeline and of no class made from it, got {type(pipeline).__name__}")
    return {"version": DOCUMENT_VERSION, "transforms": _write(list(pipeline.transforms), "transforms", saved)}


def _write(value: Any, path: str, saved: bool) -> Any:
    """Write one argument; ``path`` says where it stands, ``saved`` whether what was learned must have a file."""
    if isinstance(value, (Transform, Distribution, Modality)):
        name = _NAMES.get(type(value)) or kept_name(value)
        if name is None:
            raise ValueError(f"{path} must be of a class that has a name in the tables, got {type(value).__name__}")
        with _placed(path):
            parts = _parts_of(value, saved)
        return {"type": name, **{key: _write(part, f"{path}.{key}", saved) for key, part in parts.items()}}
    if isinstance(value, (list, tuple)):
        return [_write(part, f"{path}[{index}]", saved) for index, part in enumerate(value)]
    if isinstance(value, Tensor):
        return float(value.detach())
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{path} must be a number, text or made of these, got {type(value).__name__}")


def _parts_of(value: Any, saved: bool) -> Mapping[str, Any]:
    if isinstance(value, KeptInFile):
        return value.kept() if saved else value.known_by()
    return {field.name: getattr(value, field.name) for field in fields(value) if field.init}


def _build(table: Mapping[str, type], value: dict[str, Any], path: str, others: Iterable[str] = ()) -> Any:
    """Build an object of the class that ``value["type"]`` names in ``table``, of the other entries.

    ``others`` are names that would have done, too.
    """
    name = value.get("type")
    if not isinstance(name, str) or name not in table:
        got = repr(name) if "type" in value else "none"
        raise ValueError(f"{path}.type must be one of {sorted([*table, *others])}, got {got}")
    cls = table[name]
    known = {field.name: field for field in fields(cls) if field.init}
    needed = [key for key, field in known.items() if field.default is MISSING and field.default_factory is MISSING]
    _check_keys(value, path, ["type", *known], needed)
    hints = field_hints(cls)
    parts = {key: read_as(hints[key], value[key], f"{path}.{key}", _READERS) for key in known if key in value}
    with _placed(path):
        return cls(**parts)


def _build_transform(value: dict[str, Any], path: str) -> Any:
    """Build a transform, or read one that a file holds."""
    name = value.get("type")
    if not isinstance(name, str) or name not in KEPT:
        return _build(_TRANSFORM_TYPES, value, path, KEPT)
    cls = kept_class(name)
    hints = field_hints(cls.from_kept)
    known = list(signature(cls.from_kept).parameters)
    _check_keys(value, path, ["type", *known], known[:1])
    parts = {key: read_as(hints[key], value[key], f"{path}.{key}", _READERS) for key in known if key in value}
    with _placed(path):
        return cls.from_kept(**parts)


def transform_class_name(document: Any) -> str:
    """The name of the class of the transform that a document describes, without building it."""
    kind = str(document.get("type") if isinstance(document, Mapping) else document)
    return KEPT[kind][1] if kind in KEPT else getattr(_TRANSFORM_TYPES.get(kind), "__name__", kind)


@contextmanager
def _placed(path: str) -> Iterator[None]:
    """Say where in the document it is that the ``with`` block refuses something, or finds no file."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def _check_keys(value: Any, path: str, known: list[str], needed: list[str]) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{path} must be a mapping with the keys {known}, got {type(value).__name__}")
    for key in value:
        if key not in known:
            raise ValueError(f"{path} has the unknown key {key!r}; known are {known}")
    for key in needed:
        if key not in value:
            raise ValueError(f"{path} must have the key {key!r}, got {list(value)}")


_TRANSFORM_TYPES: dict[str, type[Transform]] = {
    **COMPOSITIONS,
    **TRANSFORMS,
    "random_corruption": RandomCorruption,
    **{f"domain.{name}": cls for name, cls in DOMAINS.items()},
    "domain.unforeseen": UnforeseenDomain,
}
_NAMES = {cls: name for table in (_TRANSFORM_TYPES, DISTRIBUTIONS, MODALITIES) for name, cls in table.items()}
_READERS: dict[type, Reader] = {
    Transform: _build_transform,
    Distribution: partial(_build, DISTRIBUTIONS),
    Modality: partial(_build, MODALITIES),
}

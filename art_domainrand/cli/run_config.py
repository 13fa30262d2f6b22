"""What a run of ``art-domainrand evaluate`` is told, by options and by a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from art_domainrand.core.arguments import Text, nearest, require
from art_domainrand.core.decoding import field_hints, read_as
from art_domainrand.core.documents import read_yaml
from art_domainrand.core.radii import norm_name, read_eps

LARGEST_CONFIG = 1 << 16
"""A config of more bytes is none."""

LISTS = ("model", "weights", "attack", "norm", "eps", "domain", "corruptions")
"""Options that may be repeated or hold several values between commas."""

WHOLE = ("model", "weights")
"""Those of them whose values may have commas in them."""


PRESET_NAMES = ("quick", "standard", "full")
"""The sets of conditions that have a name."""


@dataclass(frozen=True)
class RunConfig:
    """One run: models, data, conditions, and how and where.

    :param model: models, as ``ModelRequest`` says, each perhaps after ``NAME=``; none stands for the demo's networks.
    :param weights: a file for each model, or none.
    :param mean: subtracted from the channels inside the model.
    :param std: what the channels are divided by then.
    :param data: the name of the data.
    :param size: images are resized to size x size.
    :param download: whether data that are missing may be downloaded.
    :param limit: how many samples are taken at most.
    :param preset: the name of a set of conditions.
    :param attack: names of attacks.
    :param norm: norms of their balls.
    :param eps: radii of their balls, as text: "8/255" or "0.03".
    :param domain: domains, NAME or NAME:SEVERITY, "all", or "imagenet_ua" for draws of its core set.
    :param corruptions: corruptions, NAME or NAME:SEVERITY, "common" or "all".
    :param conditions: documents of conditions, from a file only.
    :param device: as ``chosen_device`` says.
    :param batch_size: a number, or "auto".
    :param seed: same seed, same numbers.
    :param out: the folder.
    :param fail_under: what must hold of the results.
    :raises ValueError: for values that cannot be meant.
    """

    model: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    data: str = "digits"
    size: int | None = None
    download: bool = False
    limit: int | None = None
    preset: str | None = None
    attack: tuple[str, ...] = ()
    norm: tuple[str, ...] = ()
    eps: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    corruptions: tuple[str, ...] = ()
    conditions: tuple[Any, ...] = ()
    device: str = "auto"
    batch_size: int | Literal["auto"] = "auto"
    seed: int = 0
    out: str = "evaluation"
    fail_under: str | None = None

    def __post_init__(self) -> None:
        several = Text(f"{len(self.weights)} for {len(self.model)} models")
        require(len(self.weights) in (0, len(self.model)), "weights", "be given for each model or for none", several)
        for name in ("size", "limit", "batch_size"):
            value = getattr(self, name)
            require(not isinstance(value, int) or value >= 1, name, "be >= 1", value)
        require(0 <= self.seed < 2**63, "seed", "be an int in [0, 2^63)", self.seed)
        require(bool(self.out.strip()) and "\0" not in self.out, "out", "be the path of a folder", self.out)

    @property
    def own_conditions(self) -> bool:
        """Whether conditions are named one by one."""
        return bool(self.attack or self.norm or self.eps or self.domain or self.corruptions or self.conditions)

    def effective(self) -> RunConfig:
        """The same run, with the preset that stands in where no condition is named."""
        return self if self.own_conditions or self.preset else replace(self, preset="quick")

    def to_yaml(self) -> str:
        """The whole run as YAML that :func:`read_config` reads back."""
        document = json.loads(json.dumps(asdict(self)))  # tuples as lists
        return yaml.safe_dump(document, sort_keys=False)


def read_config(text: str, path: str = "config") -> RunConfig:
    """The run that a YAML text describes; what it leaves out has its default.

    :param text: a mapping from the names of options, with "_" in place of "-", to their values.
    :param path: what the text is called in errors.
    :raises ValueError: naming the place: unknown keys, with the nearest one, and values of another type.
    """
    try:
        document = read_yaml(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return config_of({} if document is None else document, path)


def load_config(path: Path) -> RunConfig:
    """Read a run from a file.

    :param path: the file.
    :raises ValueError: as :func:`read_config` does, and for what is no text of a sensible size.
    """
    require(path.is_file(), "config", "be a file that is there", Text(f"{str(path)!r}"))
    with path.open("rb") as file:
        content = file.read(LARGEST_CONFIG + 1)
    require(len(content) <= LARGEST_CONFIG, str(path), f"have at most {LARGEST_CONFIG} bytes", Text("more"))
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text, got {error.reason} at byte {error.start}") from None
    return read_config(text, str(path))


def config_of(document: Any, path: str) -> RunConfig:
    """The run of a mapping of plain data; see :func:`read_config`."""
    known = [field.name for field in fields(RunConfig)]
    mapping = isinstance(document, Mapping)
    require(mapping, path, "hold a mapping from names of options to values", Text(type(document).__name__))
    for key in document:
        hint = nearest(key.replace("-", "_"), known) if isinstance(key, str) else ""
        require(key in known, path, f"have keys among {known}", Text(f"{key!r:.80}{hint}"))
    hints = field_hints(RunConfig)
    parts: dict[str, Any] = {
        name: documents_of(value, f"{path}: {name}")
        if name == "conditions"
        else read_as(hints[name], listed(name, value), f"{path}: {name}", {})
        for name, value in document.items()
    }
    try:
        return RunConfig(**parts)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def listed(name: str, value: Any) -> Any:
    """The value of a key, one that may have several as a list of texts; numbers among them are written out."""
    if name in ("mean", "std") and isinstance(value, (int, float)) and not isinstance(value, bool):
        return [value]
    if name not in LISTS or value is None:
        return value
    values = value if isinstance(value, list) else [value]
    found: list[Any] = []
    for one in values:
        if name == "eps" and isinstance(one, (int, float)) and not isinstance(one, bool):
            found.append(repr(one))
        elif isinstance(one, str) and name not in WHOLE:
            found += separated(one)
        else:
            found.append(one)
    return found


def separated(text: str) -> list[str]:
    """The values between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def documents_of(value: Any, path: str) -> tuple[Any, ...]:
    """Documents of conditions as a tuple; what is in them is read where the conditions are made."""
    require(isinstance(value, list), path, "be a list of conditions", Text(type(value).__name__))
    return tuple(value)


def with_options(config: RunConfig, options: Mapping[str, Any]) -> RunConfig:
    """A run with the options of a command line in place of what a file said.

    :param config: what the file said, or the defaults.
    :param options: values by name as the command line has them, lists of texts too; None where nothing was given.
    :raises ValueError: as :class:`RunConfig` does.
    """
    hints = field_hints(RunConfig)
    given: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        values = numbers_between_commas(name, value) if name in ("mean", "std") else listed(name, value)
        if name == "batch_size" and isinstance(value, str) and value.isdecimal():  # or "auto"
            values = int(value)
        given[name] = read_as(hints[name], values, f"--{name.replace('_', '-')}", {})
    return replace(config, **given)


def check_early(config: RunConfig) -> None:
    """Refuse what can be refused before torch and ART are imported, which takes seconds.

    :param config: the run.
    :raises ValueError: for a norm, a radius or a preset that there is not.
    """
    norms_and_radii(config)
    name = config.preset
    got = Text(f"{name!r:.80}{nearest(name or '', PRESET_NAMES)}")
    require(name is None or name in PRESET_NAMES, "preset", f"be one of {list(PRESET_NAMES)}", got)


def norms_and_radii(config: RunConfig) -> tuple[list[str], list[float]]:
    """The norms and radii that a run names.

    :param config: the run.
    :return: the names of the norms, and the radii in units of pixels.
    :raises ValueError: for what is no norm or radius, and radii that not every norm takes.
    """
    norms, radii = [norm_name(norm) for norm in config.norm], [read_eps(eps, "eps") for eps in config.eps]
    check_shared(norms, radii)
    return norms, radii


def check_shared(norms: Sequence[str], radii: Sequence[float]) -> None:
    """Refuse radii that one of several norms cannot take: every norm takes all of them.

    :param norms: by name.
    :param radii: for all of them.
    :raises ValueError: for one in L0, which counts elements, that is no whole number.
    """
    parts = [eps for eps in radii if eps != int(eps)] if "l0" in norms and len(norms) > 1 else []
    advice = (
        "; every norm takes every eps: run l0 by itself, or give conditions with an eps of their own in --config, such "
        "as {type: attacked, attack: minimum, norm: l0, eps: 10}"
    )
    got = Text(f"{parts[0]:g}{advice}" if parts else "none")
    require(not parts, "eps", "be whole numbers with norm l0, which counts the elements that differ", got)


def numbers_between_commas(name: str, text: str) -> list[float]:
    """The numbers of a text like "0.485,0.456,0.406"."""
    try:
        return [float(part) for part in separated(text)]
    except ValueError:
        raise ValueError(f"--{name} must be numbers between commas, got {text!r:.80}") from None

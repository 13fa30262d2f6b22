"""Conditions as plain data, for YAML and JSON, and back.

A document is a mapping with its kind from ``CONDITIONS`` under "type" and the arguments of the class under their names:
``{"type": "attacked", "attack": "pgd", "eps": "8/255", "norm": "linf"}``. A pipeline is the name of a preset or the
document of :func:`art_domainrand.randomization.to_dict`, and a domain a name or one transform of such a document. No
document can name code: a function stands there as ``{"type": "custom", "name": ...}``, which says what ran and cannot
be read back to run again; so does what no document can hold, with hashes of what it is and of the weights in it. What
was learned is known by its weights; where it was saved, the file says where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeAlias

from art_domainrand.core.arguments import nearest
from art_domainrand.core.arrays import as_python
from art_domainrand.core.checks import Text, require
from art_domainrand.core.decoding import field_hints, read_as
from art_domainrand.core.digests import text_digest
from art_domainrand.evaluation.conditions.catalogue import RecordedName
from art_domainrand.evaluation.conditions.kinds import CONDITIONS, Condition, Custom, pipeline_name
from art_domainrand.evaluation.conditions.names import attack_name
from art_domainrand.evaluation.conditions.values import read_eps, write_eps
from art_domainrand.randomization import Pipeline, from_dict
from art_domainrand.randomization.domains.domain import Domain
from art_domainrand.randomization.kept import names_file
from art_domainrand.randomization.serialize import DOCUMENT_VERSION, to_record, transform_class_name
from art_domainrand.randomization.weights_in import weights_in

CUSTOM = "custom"
DEEPEST = 8
"""How many conditions may stand inside one another."""

FieldReader: TypeAlias = Callable[[Any, str, bool], Any]
"""From a value, its path in the document and whether it is only to be read of, not to be run, to an argument."""


def to_document(condition: Condition) -> dict[str, Any]:
    """Describe a condition by dicts, lists, numbers and text alone.

    :param condition: the condition.
    """
    if isinstance(condition, Custom):
        return nameless(condition.name, weights=weights_in(condition.function))
    kind = next((name for name, known in CONDITIONS.items() if type(condition) is known), None)
    rule = f"be one of {[known.__name__ for known in CONDITIONS.values()]} or Custom, and of no class made from them"
    require(kind is not None, "condition", rule, Text(type(condition).__name__))
    parts = {field.name: _written(field.name, getattr(condition, field.name)) for field in fields(condition)}  # type: ignore[arg-type]
    return {"type": kind, **{name: part for name, part in parts.items() if part != {}}}


def from_record(document: Any, path: str = "condition") -> Condition:
    """The condition of a document of something that has run: to be read of, and named, but not always to be run again.

    :param document: what :func:`to_document` wrote; what stands for a function becomes one that refuses to run.
    :param path: where it stands, for errors.
    :raises ValueError: as :func:`~art_domainrand.evaluation.conditions.known.from_document` does, but not for names
        that are not known and for what stands for a function.
    """
    return read_condition(document, path, True)


def nameless(name: str, digest: str | None = None, weights: str | None = None) -> dict[str, Any]:
    """What stands in a document for a function, or with a hash for what no document can hold, and for its weights."""
    hashes = {"hash": digest, "weights": weights}
    return {"type": CUSTOM, "name": name, **{key: value for key, value in hashes.items() if value}}


class Unavailable:
    """A function that is known by name only.

    :param name: its name.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Refuse to run.

        :raises ValueError: always.
        """
        raise ValueError(f"{self.__name__} is a function of the run that was read, which did not keep its code")


def _written(name: str, value: Any) -> Any:
    if name == "eps":
        return write_eps(value)
    if isinstance(value, Condition):
        return to_document(value)
    if isinstance(value, Pipeline):
        return _pipeline_or_name(value, pipeline_name(value))
    if isinstance(value, Domain):
        found = _pipeline_or_name(Pipeline([value]), type(value).__name__)
        # The severity is the condition's.
        return {k: v for k, v in found["transforms"][0].items() if k != "severity"} if "transforms" in found else found
    if isinstance(value, Mapping):
        return {str(key): _written(f"option {key}", part) for key, part in value.items()}
    plain = as_python(value)
    if isinstance(plain, (list, tuple)):
        return [_written(name, part) for part in plain]
    if plain is None or isinstance(plain, (bool, int, float, str)):
        return plain
    return nameless(attack_name(value), weights_in(value))


def _pipeline_or_name(pipeline: Pipeline, name: str) -> dict[str, Any]:
    try:
        return to_record(pipeline)
    except ValueError:  # a module or class of the user's own
        return nameless(name, text_digest(repr(pipeline)), weights_in(pipeline))


def read_condition(document: Any, path: str, recorded: bool, depth: int = 0) -> Condition:
    """The condition that a document describes, whether its names are known or not.

    :param document: a mapping, as in this module.
    :param path: where it stands, for errors.
    :param recorded: whether it is of something that has run, and may hold what stands for a function.
    :param depth: in how many conditions it stands.
    :raises ValueError: naming the place in the document.
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"{path} must be a mapping with the type of a condition, got {type(document).__name__}")
    kind = document.get("type")
    if kind == CUSTOM and recorded:
        name = str(document.get("name"))
        return Custom(Unavailable(name), name)
    _refuse_functions(document, path)
    known_names = list(CONDITIONS)
    if not isinstance(kind, str) or kind not in CONDITIONS:
        near = nearest(kind, known_names) if isinstance(kind, str) else ""
        got = f"{kind!r:.80}{near}" if "type" in document else "none"
        raise ValueError(f"{path}.type must be one of {known_names}, got {got}")
    if depth >= DEEPEST:
        raise ValueError(f"{path} must be nested less deeply")
    cls = CONDITIONS[kind]
    _check_keys_of(cls, document, path)

    def read(name: str, value: Any) -> Any:
        if name in ("first", "second"):
            return read_condition(value, f"{path}.{name}", recorded, depth + 1)
        if name == "conditions":
            return _read_parts(value, f"{path}.{name}", recorded, depth + 1)
        if name in FIELD_READERS:
            return FIELD_READERS[name](value, f"{path}.{name}", recorded)
        return read_as(field_hints(cls)[name], value, f"{path}.{name}", {})

    parts = {name: read(name, document[name]) for name in document if name != "type"}
    try:
        return cls(**parts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def _read_parts(value: Any, path: str, recorded: bool, depth: int) -> list[Condition]:
    if not isinstance(value, list):
        raise ValueError(f"{path} must be a list of conditions, got {type(value).__name__}")
    return [read_condition(one, f"{path}[{place}]", recorded, depth) for place, one in enumerate(value)]


def _check_keys_of(cls: type[Condition], document: Mapping[Any, Any], path: str) -> None:
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in document:
        if key not in ("type", *known):
            near = nearest(str(key), list(known))
            raise ValueError(f"{path} has the unknown key {key!r:.80}; known are {list(known)}{near}")
    for name, field in known.items():
        if name not in document and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{path} must have the key {name!r}, got {list(document)}")


def _refuse_functions(document: Mapping[Any, Any], path: str) -> None:
    if document.get("type") == CUSTOM:
        name = str(document.get("name"))
        raise ValueError(f"{path} must not be a function ({name:.80}): no document can name code; pass it from Python")


def _read_pipeline(value: Any, path: str, recorded: bool) -> Any:
    if isinstance(value, str):
        return RecordedName(value) if recorded else value
    if isinstance(value, Mapping):
        if recorded and value.get("type") == CUSTOM:
            return RecordedName(value.get("name"))
        if recorded and names_file(dict(value)):  # a record is read without what it was made with
            return RecordedName(", ".join(map(transform_class_name, value.get("transforms", ()))))
        _refuse_functions(value, path)
        try:
            return from_dict(dict(value))
        except RecursionError:
            raise ValueError(f"{path} must be nested less deeply") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    raise ValueError(f"{path} must be the name of a preset or a pipeline's mapping, got {value!r:.80}")


def _read_domain(value: Any, path: str, recorded: bool) -> Any:
    if isinstance(value, str):
        return RecordedName(value) if recorded else value
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must be the name of a domain or a domain's mapping, got {value!r:.80}")
    if recorded:  # a record is read without what it was made with
        return RecordedName(value.get("name") if value.get("type") == CUSTOM else transform_class_name(value))
    _refuse_functions(value, path)
    (found,) = _read_pipeline({"version": DOCUMENT_VERSION, "transforms": [dict(value)]}, path, recorded).transforms
    if not isinstance(found, Domain):
        raise ValueError(f"{path} must be a domain, got {value.get('type')!r:.80}")
    return found


def _read_attack(value: Any, path: str, recorded: bool) -> Any:
    if isinstance(value, Mapping) and value.get("type") == CUSTOM:
        if not recorded:
            _refuse_functions(value, path)
        return Unavailable(str(value.get("name")))
    name = read_as(str, value, path, {})
    return RecordedName(name) if recorded else name


def _read_options(value: Any, path: str, recorded: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must be a mapping from names to values, got {value!r:.80}")
    return {str(name): _read_option(part, f"{path}.{name}", recorded) for name, part in value.items()}


def _read_option(value: Any, path: str, recorded: bool) -> Any:
    if isinstance(value, Mapping) and recorded and value.get("type") == CUSTOM:
        return Unavailable(str(value.get("name")))
    if recorded and isinstance(value, (Mapping, list)):  # what a function of the user's took, such as a pipeline
        return value
    if path.endswith(".eps_step"):
        return read_eps(value, path)
    return read_as(float | int | bool | str | None, value, path, {})


FIELD_READERS: dict[str, FieldReader] = {
    "eps": lambda value, path, recorded: read_eps(value, path),
    "pipeline": _read_pipeline,
    "domain": _read_domain,
    "attack": _read_attack,
    "options": _read_options,
}
"""Arguments whose form in a document is not what their type says."""

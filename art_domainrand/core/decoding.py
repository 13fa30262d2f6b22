"""Plain data read by type hints: what a dataclass asks for is what a document may say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

Reader: TypeAlias = Callable[[dict[str, Any], str], Any]
"""Builds an object from a mapping and the mapping's path in the document."""


def read_as(hint: Any, value: Any, path: str, readers: Mapping[type, Reader]) -> Any:
    """Return ``value``, which stands at ``path`` of a document, as what the type ``hint`` asks for.

    Numbers, text, booleans, None and literals stand for themselves, lists for tuples, and mappings for the classes in
    ``readers``. Raises ValueError naming the path and everything that could stand there.
    """
    options = [option for option in _options(hint) if option in readers or option in _PLAIN or get_origin(option)]
    for option in options:
        if option in readers and isinstance(value, dict):
            return readers[option](value, path)
        if get_origin(option) is tuple and isinstance(value, list) and _fits(option, value):
            parts = _members(option, len(value))
            return tuple(
                read_as(part, entry, f"{path}[{index}]", readers)
                for index, (part, entry) in enumerate(zip(parts, value, strict=True))
            )
        if get_origin(option) is Literal and any(value == one and type(value) is type(one) for one in get_args(option)):
            return value
        if option in _PLAIN and _is_plain(option, value):
            if isinstance(value, (int, float)) and not _is_finite(value):
                raise ValueError(f"{path} must be finite, got {value!r:.40}")
            return value
    *rules, last = dict.fromkeys(_rule(option) for option in sorted(options, key=lambda option: option in readers))
    rule = f"{', '.join(rules)} or {last}" if rules else last
    raise ValueError(f"{path} must be {rule}, got {value!r:.80}")


@cache
def field_hints(cls: Any) -> dict[str, Any]:
    """The types of the fields of a class, or of the arguments of a function, looked up in its module."""
    return get_type_hints(cls)


_PLAIN: dict[Any, str] = {float: "a number", int: "an int", bool: "true or false", str: "text", NoneType: "null"}


def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the hint itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _is_plain(option: Any, value: Any) -> bool:
    if isinstance(value, bool):  # an int to Python, but not to a reader of the document
        return option is bool
    return isinstance(value, (int, float) if option is float else option)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def _members(option: Any, count: int) -> tuple[Any, ...]:
    """The hints of the entries of a tuple of ``count``."""
    members = get_args(option)
    return (members[0],) * count if members[-1] is Ellipsis else members


def _fits(option: Any, value: list[Any]) -> bool:
    return len(_members(option, len(value))) == len(value)


def _rule(option: Any) -> str:
    if option in _PLAIN:
        return _PLAIN[option]
    if get_origin(option) is Literal:
        return " or ".join(repr(one) for one in get_args(option))
    if get_origin(option) is tuple:
        members = get_args(option)
        many = f"of {len(members)} entries" if members[-1] is not Ellipsis else f"whose entries are {_rule(members[0])}"
        return "a pair [low, high]" if members == (float, float) else f"a list {many}"
    return f"a mapping with the type of a {option.__name__.lower()}"

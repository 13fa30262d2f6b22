"""Signatures that are written out: the nearest name for a misspelt argument, old names for renamed ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Config = TypeVar("Config")


@dataclass(frozen=True)
class Renamed:
    """An argument that has another name now, and what its value has become."""

    name: str
    value: Callable[[Any], Any] = lambda value: value


def written_out(**renamed: str | Renamed) -> Callable[[Function], Function]:
    """Let a function take its arguments by old names too, with a DeprecationWarning, and help with misspelt ones.

    What ``inspect.signature`` and ``help`` show stays the function's own signature.

    :param renamed: old name -> new name, or :class:`Renamed` if the value has changed too.
    """

    def decorate(function: Function) -> Function:
        named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        parameters = signature(function).parameters.items()
        known = [name for name, p in parameters if p.kind in named and name not in ("self", "cls")]

        @wraps(function)
        def wrapper(*args: Any, **given: Any) -> Any:
            for name in [name for name in given if name in renamed]:
                instead = renamed[name]
                instead = Renamed(instead) if isinstance(instead, str) else instead
                if instead.name in given:
                    raise TypeError(f"{name} must not be given with {instead.name}, which is its new name")
                warnings.warn(f"{name} is deprecated, say {instead.name}", DeprecationWarning, stacklevel=2)
                given[instead.name] = instead.value(given.pop(name))
            for name in given:
                if name not in known:
                    raise TypeError(f"{function.__qualname__} {misspelt(name, known)}")
            return function(*args, **given)

        return wrapper  # type: ignore[return-value]

    return decorate


def misspelt(name: str, known: list[str]) -> str:
    """What Python says of an argument that a function does not take, with those ``known`` and the nearest name."""
    near = get_close_matches(name, known, 1)
    instead = f"; did you mean {near[0]!r}?" if near else ""
    return f"got an unexpected keyword argument {name!r}; the arguments are {known}{instead}"


def collected(config: type[Config], arguments: Mapping[str, Any]) -> Config:
    """The dataclass ``config`` made of the ``arguments`` of its fields' names, such as a function's ``locals()``."""
    return config(**{field.name: arguments[field.name] for field in fields(config)})  # type: ignore[arg-type]

"""Arguments that have another name now, and the dataclass that stands behind many."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from art_domainrand.core.arguments import suggesting_names

Given = ParamSpec("Given")
Result = TypeVar("Result")
Options = TypeVar("Options")


@dataclass(frozen=True)
class Renamed:
    """An argument that has another name now, and what its value has become."""

    name: str
    value: Callable[[Any], Any] = lambda value: value


def renaming(**renamed: str | Renamed) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Let a function take its arguments by old names too, with a DeprecationWarning, and help with misspelt ones.

    What ``inspect.signature`` and ``help`` show stays the function's own signature.

    :param renamed: old name -> new name, or :class:`Renamed` if the value has changed too.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        checked: Callable[..., Result] = suggesting_names(function)

        @wraps(function)
        def wrapper(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            given: dict[str, Any] = dict(kwargs)
            for name in [name for name in kwargs if name in renamed]:
                found = renamed[name]
                instead = Renamed(found) if isinstance(found, str) else found
                if instead.name in given:
                    raise TypeError(f"{name} must not be given with {instead.name}, which is its new name")
                warnings.warn(f"{name} is deprecated, say {instead.name}", DeprecationWarning, stacklevel=2)
                given[instead.name] = instead.value(given.pop(name))
            return checked(*args, **given)

        return wrapper

    return decorate


def collected(options: type[Options], arguments: Mapping[str, Any]) -> Options:
    """The dataclass ``options`` made of the ``arguments`` of its fields' names, such as a function's ``locals()``."""
    return options(**{field.name: arguments[field.name] for field in fields(options)})  # type: ignore[arg-type]

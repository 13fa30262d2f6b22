"""Every public callable documents each of its parameters, and no other; all in one form."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

MODULES = [
    "art_domainrand",
    "art_domainrand.attacks",
    "art_domainrand.generative",
    "art_domainrand.preprocessors",
    "art_domainrand.randomization",
    "art_domainrand.randomization.corruptions",
    "art_domainrand.randomization.domains",
    "art_domainrand.randomization.describe",
    "art_domainrand.training",
    "art_domainrand.training.module",
    "art_domainrand.training.attacks",
    "art_domainrand.training.paired",
    "art_domainrand.evaluation",
    "art_domainrand.evaluation.conditions",
    "art_domainrand.evaluation.plots",
    "art_domainrand.evaluation.report",
    "art_domainrand.evaluation.sources",
    "art_domainrand.evaluation.summary",
    "art_domainrand.data",
    "art_domainrand.demo",
    "art_domainrand.gallery",
    "art_domainrand.augment",
    "art_domainrand.images",
    "art_domainrand.loading",
]
"""Modules whose public callables are read."""

DOCUMENTED = re.compile(r"^\s*:param (\w+):", re.MULTILINE)
FIELD = re.compile(r"^\s*:(?!param \w+: |return: |raises \w+(?:, \w+)*: )[\w ,]+:(?!`)", re.MULTILINE)
PROSE = re.compile(r"\b(?:Raises|Returns|Yields)\b")


def public_callables() -> dict[str, Callable[..., Any]]:
    """Functions, classes and the methods of classes, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for value in (value for module in map(importlib.import_module, MODULES) for value in public_values(module)):
        if inspect.isclass(value) or inspect.isfunction(value):
            found[f"{value.__module__}.{value.__qualname__}"] = value
        if inspect.isclass(value):
            found |= {f"{method.__module__}.{method.__qualname__}": method for method in public_methods(value)}
    return found


def public_values(module: Any) -> Iterator[Any]:
    """What ``module`` lists as public, or else defines without an underscore; of a table its classes."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    for name in getattr(module, "__all__", [name for name in own if not name.startswith("_")]):
        value = getattr(module, name)
        yield from filter(inspect.isclass, value.values()) if isinstance(value, dict) else [value]


def public_methods(cls: type) -> list[Callable[..., Any]]:
    """The methods that ``cls`` has from this package; one that overrides may leave the words to the first."""
    methods = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
    return [
        value
        for name, value in methods.items()
        if (inspect.isfunction(value) or inspect.ismethod(value))
        and value.__module__.startswith("art_domainrand.")
        and (value.__doc__ or sum(name in vars(base) for base in cls.__mro__) == 1)
    ]


def parameters(value: Callable[..., Any]) -> list[str]:
    """The names that a caller of ``value`` can give."""
    return [name for name in inspect.signature(value).parameters if name != "self"]


CALLABLES = public_callables()


@pytest.mark.parametrize("name", CALLABLES)
def test_every_parameter_is_documented_in_one_form(name: str) -> None:
    words = inspect.getdoc(CALLABLES[name]) or ""
    assert DOCUMENTED.findall(words) == parameters(CALLABLES[name])
    assert not PROSE.search(words), "errors and results have fields of their own, :raises ...: and :return:"
    assert not FIELD.search(words), "fields are :param name:, :return: and :raises Error:"

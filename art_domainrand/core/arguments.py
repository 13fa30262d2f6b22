"""Arguments by name: what a callable takes, and what to say of a name that it does not take."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar

# What other libraries call our arguments -> what we call them, the first that a callable takes.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "alpha": ("eps_step",),
    "step_size": ("eps_step",),
    "epsilon": ("eps",),
    "steps": ("max_iter",),
    "iterations": ("max_iter",),
    "num_steps": ("max_iter",),
    "restarts": ("num_random_init", "nb_random_init"),
    "classifier": ("estimator",),
    "model": ("estimator", "classifier"),
    "label": ("y",),
    "labels": ("y",),
    "images": ("x",),
    "pipeline": ("randomization",),
    "randomization": ("pipeline",),
    "epochs": ("nb_epochs",),
    "draws": ("k", "eot_samples"),
    "random_state": ("seed",),
}

FEW_VARIANTS = 3
"""So many variants of a name are said."""

P = ParamSpec("P")
R = TypeVar("R")


def argument_names(function: Callable[..., Any]) -> list[str]:
    """The arguments of a function or method by name, without ``self``, ``cls`` and what takes any."""
    any_name = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.name not in ("self", "cls") and p.kind not in any_name]


def nearest(name: str, known: Sequence[str]) -> str:
    """What to add to an error about a ``name``: what we call it among those ``known``, or the nearest of them."""
    found = [other for other in ELSEWHERE.get(name.lower(), ()) if other in known][:1]
    found = found or variants(name, known) or get_close_matches(name, known, 1)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


def variants(name: str, known: Sequence[str]) -> list[str]:
    """Those of the ``known`` names that are ``name`` and another word, if they are few: "idbh" is two of them."""
    found = [other for other in known if name and other.lower().startswith(f"{name.lower()}_")]
    return found if len(found) <= FEW_VARIANTS else []


def unexpected(name: str, known: Sequence[str], others: Sequence[str] = ()) -> str:
    """What Python says of an argument that a function does not take, with those ``known`` and the nearest name."""
    return (
        f"got an unexpected keyword argument {name!r}; the arguments are {list(known)}"
        f"{nearest(name, [*known, *others])}"
    )


def suggesting_names(function: Callable[P, R], elsewhere: Mapping[str, str] | None = None) -> Callable[P, R]:
    """Let ``function`` answer a misspelt keyword with the nearest name; its signature stays what ``inspect`` shows.

    ``elsewhere`` says of arguments that it does not take what does.
    """
    known, others = argument_names(function), elsewhere or {}

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                advice = f"; {others[name]}" if name in others else ""
                raise TypeError(f"{function.__qualname__}() {unexpected(name, known)}{advice}")
        return function(*args, **kwargs)

    return checked


class Text(str):
    """A description of a value, shown in an error as it is, where the value itself would be shown by its repr."""

    __slots__ = ()
    __repr__ = str.__str__


def require(holds: Any, argument: str, rule: str, value: Any, error: Callable[[str], Exception] = ValueError) -> None:
    """Raise ``error`` saying ``argument must rule, got value`` unless ``holds``."""
    if not holds:
        raise error(f"{argument} must {rule}, got {value!r}")

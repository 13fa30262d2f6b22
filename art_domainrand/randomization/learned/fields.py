"""What of a pipeline can be learned: the ranges of its transforms' fields, and the odds of its choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from art_domainrand.core.checks import Text, require
from art_domainrand.randomization.core.beta import Beta
from art_domainrand.randomization.core.bounds import plain_bound
from art_domainrand.randomization.core.composites import OneOf
from art_domainrand.randomization.core.coordinates import Coordinate, coordinates, is_range
from art_domainrand.randomization.core.distributions import (
    Distribution,
    LogUniform,
    Normal,
    TruncatedNormal,
    Uniform,
)
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Transform

FAMILIES: dict[str, tuple[type[Distribution], ...]] = {
    "box": (Uniform, LogUniform, Normal, TruncatedNormal),
    "beta": (Uniform, LogUniform),
}
"""Name -> the distributions that it can narrow so that the result has a name of its own."""


LEAST_WIDTH = 0.02
"""No box is narrower than this share of its range."""


@dataclass(frozen=True)
class LearnedField:
    """A field of a transform whose range is learned.

    :param name: the place of the transform, and the field: "0.angle".
    :param columns: the coordinates of the unit cube that are drawn from the field.
    :param distribution: what the pipeline draws from.
    """

    name: str
    columns: tuple[int, ...]
    distribution: Distribution


@dataclass(frozen=True)
class LearnedChoice:
    """A :class:`OneOf` whose odds are learned.

    :param name: its place in the pipeline, "2" or "2.0".
    :param owner: the transform.
    :param selectors: what it chooses by: one coordinate, or more where it is one of a chain that is drawn repeatedly.
    :param columns: the columns of the unit cube of each of ``selectors``.
    :param members: the members that the pipeline can choose; those of weight zero stay out.
    :param odds: the pipeline's own odds of these.
    """

    name: str
    owner: OneOf
    selectors: tuple[Coordinate, ...]
    columns: tuple[int, ...]
    members: tuple[int, ...]
    odds: tuple[float, ...]


def learned_fields(pipeline: Pipeline, family: str) -> list[LearnedField]:
    """The fields whose ranges ``family`` can narrow, in the order of the unit cube.

    Coordinates that no field declares stay as they are: the grains of a field of noise, the weather of a flip. What is
    applied several times, as the chain of :class:`MixedChains`, has one range for all times.
    """
    found: dict[tuple[str, int], LearnedField] = {}
    for column, coordinate in enumerate(coordinates(pipeline.chain)):
        place, _, name = coordinate.name.rpartition(".")
        place = first_place(pipeline.chain, place)
        law = coordinate.distribution
        names = [field for field in _fields(coordinate.owner) if getattr(coordinate.owner, field) is law]
        if not names or not is_range(coordinate) or not isinstance(law, FAMILIES[family]) or not can_be_cut(law):
            continue
        known = found.get((place, id(law)))
        title = ".".join(part for part in (place, names[0] if len(names) == 1 else name) if part)
        first = LearnedField(title, (column,), law)
        more = first if known is None else LearnedField(known.name, (*known.columns, column), law)
        found[place, id(law)] = more
    return list(found.values())


def learned_choices(pipeline: Pipeline) -> list[LearnedChoice]:
    """Every :class:`OneOf` that has more than one member to choose."""
    found: dict[str, LearnedChoice] = {}
    for column, coordinate in enumerate(coordinates(pipeline.chain)):
        owner = coordinate.owner
        if not isinstance(owner, OneOf):
            continue
        weights = owner.weights or (1.0,) * len(owner.transforms)
        members = tuple(k for k, weight in enumerate(weights) if weight > 0)
        if len(members) > 1:
            odds = tuple(weights[k] / sum(weights) for k in members)
            place = first_place(pipeline.chain, coordinate.name.rpartition(".")[0])
            first = LearnedChoice(place, owner, (), (), members, odds)
            known = found.get(place, first)
            selectors, columns = (*known.selectors, coordinate), (*known.columns, column)
            found[place] = replace(known, selectors=selectors, columns=columns)
    return list(found.values())


def first_place(chain: Transform, place: str) -> str:
    """The place, such as "0.1.4", with that of the first time for whatever is applied several times."""
    parts, transform = [], chain
    for index in place.split(".") if place else ():
        repeated = isinstance(getattr(transform, "transform", None), Transform)
        parts.append("0" if repeated else index)
        transform = transform.transform if repeated else transform.transforms[int(index)]  # type: ignore[attr-defined]
    return ".".join(parts)


def can_be_cut(law: Distribution) -> bool:
    """Whether the narrowest box in ``law`` is a distribution, too."""
    if not isinstance(law, TruncatedNormal):
        return True
    try:
        narrowed(law, 0.0, LEAST_WIDTH)  # every box of this width has the same mass
    except ValueError:
        return False
    return True


def check_learnable(argument: str, pipeline: Pipeline, family: str) -> None:
    """Raise ValueError for a pipeline that has nothing to learn.

    :param argument: the name of the argument it was given as.
    """
    learned = bool(learned_fields(pipeline, family) or learned_choices(pipeline))
    kinds = " or ".join(law.__name__ for law in FAMILIES[family])
    require(learned, argument, f"have a {kinds} range or a OneOf to learn", Text(repr(pipeline)))


def narrowed(law: Distribution, low: float, high: float) -> Distribution:
    """The distribution given that its point of the unit interval falls into [``low``, ``high``]."""
    if (low, high) == (0.0, 1.0):
        return law
    smallest, largest = law.support
    ends = law.icdf(torch.tensor([low, high], dtype=torch.float64)).detach().tolist()
    first, last = (min(max(end, smallest), largest) for end in ends)
    if isinstance(law, (Normal, TruncatedNormal)):
        return TruncatedNormal(plain_bound(law.mean), plain_bound(law.std), first, last)
    return type(law)(first, last)  # type: ignore[call-arg]


def shaped(law: Distribution, a: float, b: float) -> Distribution:
    """The distribution whose point of the unit interval is drawn from Beta(``a``, ``b``)."""
    if (a, b) == (1.0, 1.0):
        return law
    low, high = law.support
    return Beta(low, high, a, b, log=isinstance(law, LogUniform))


def rebuilt(
    transform: Transform,
    laws: Mapping[str, Mapping[int, Distribution]],
    odds: Mapping[str, Sequence[float]],
    place: str = "",
) -> Transform:
    """``transform`` with other distributions and other odds; what has none of them stays the same object.

    :param laws: the place of a transform -> the ``id`` of a distribution there -> what it becomes.
    :param odds: the place of a :class:`OneOf` -> the weights of all of its members.
    """
    own = laws.get(place, {})
    changes: dict[str, Any] = {
        name: own[id(getattr(transform, name))] for name in _fields(transform) if id(getattr(transform, name)) in own
    }
    single = getattr(transform, "transform", None)
    several: tuple[Transform, ...] = getattr(transform, "transforms", ())
    inner = (single,) if isinstance(single, Transform) else several
    again = tuple(rebuilt(t, laws, odds, f"{place}.{k}" if place else str(k)) for k, t in enumerate(inner))
    if any(new is not old for new, old in zip(again, inner, strict=True)):
        transform = transform.with_members(again)
    if place in odds:
        changes["weights"] = tuple(odds[place])
    return transform.with_fields(changes) if changes else transform


def _fields(transform: Transform) -> list[str]:
    return [field.name for field in fields(transform) if field.init]  # type: ignore[arg-type]

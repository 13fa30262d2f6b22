"""What the coordinates of a pipeline's unit cube mean: names, units, and which of them act."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from art_domainrand.randomization.core.choosing import ChoosingTransform
from art_domainrand.randomization.core.distributions import Choice, Distribution
from art_domainrand.randomization.core.sampling import HasParameters
from art_domainrand.randomization.core.transform import Transform

MOST_TOLD = 9
"""How many points of one field are told one by one."""


@dataclass(frozen=True)
class Coordinate:
    """One coordinate of the cube: its ``name`` in ``pipeline.parameters``, and the ``label`` and ``unit`` to print.

    It acts only if every one of ``conditions`` holds: (column of the gate or selector, its transform, the member).
    """

    name: str
    label: str
    unit: str
    distribution: Distribution
    owner: Transform
    conditions: tuple[tuple[int, ChoosingTransform, int], ...]

    def acts(self, u: Tensor) -> Tensor:
        """For which of the points ``u`` (n, P) this coordinate makes a difference, (n,)."""
        acting = torch.ones(len(u), dtype=torch.bool, device=u.device)
        for column, owner, member in self.conditions:
            acting &= owner.applies(u[:, column], member)
        return acting

    def chosen(self, u: Tensor) -> str | None:
        """What this coordinate chooses at ``u`` (a tensor with one element); None if it is one of degree."""
        return self.owner.chosen(self.name.rpartition(".")[2], u.reshape(1))

    def text(self, u: Tensor) -> str:
        """The value at the coordinate ``u`` (a tensor with one element), with its unit."""
        u = u.reshape(1)
        chosen = self.chosen(u)
        if chosen is not None:
            return chosen
        return f"{float(self.distribution.icdf(u)):.4g}{f' {self.unit}' if self.unit else ''}"


def coordinates(transform: Transform) -> list[Coordinate]:
    """Every coordinate of ``transform``, such as a pipeline's chain, in the order of ``draw.u``."""
    found = list(_walk(transform, "", 0, ()))
    assert [coordinate.name for coordinate in found] == list(transform.parameters)
    return found


def described(transform: Transform, u: Tensor) -> dict[str, str]:
    """What a point ``u`` (P,) does, without what does not act there: "0 Rotation angle" -> "12 degrees".

    The many points of a field are told as one: "0 Wood bend (256)" -> "from -1 to 1, rms 0.58".
    """
    acting = [(c, column) for column, c in enumerate(coordinates(transform)) if bool(c.acts(u[None])[0])]
    sizes = Counter(_field(c) for c, _ in acting)
    said: dict[str, str] = {}
    for field, run in groupby(acting, lambda found: _field(found[0])):
        members = list(run)
        if field and sizes[field] > MOST_TOLD:
            values = torch.cat([c.distribution.icdf(u[column].reshape(1)) for c, column in members])
            said[f"{field} ({len(values)})"] = _summary(values.double(), members[0][0].unit)
        else:
            said |= {f"{c.name.rpartition('.')[0]} {c.label}": c.text(u[column]) for c, column in members}
    return said


def _field(coordinate: Coordinate) -> str:
    """The field that a coordinate such as "0.flow_0_1_1" is a point of, as "0 FlowField flow"; "" if of none."""
    stem = re.sub(r"( [0-9]+)+$", "", coordinate.label)
    return "" if stem == coordinate.label else f"{coordinate.name.rpartition('.')[0]} {stem}"


def _summary(values: Tensor, unit: str) -> str:
    """The values of a field in a few words."""
    least, most, rms = float(values.min()), float(values.max()), float(values.square().mean().sqrt())
    return f"from {least:.4g} to {most:.4g}{f' {unit}' if unit else ''}, rms {rms:.2g}"


def physical_values(pipeline: HasParameters, u: Tensor) -> dict[str, Tensor]:
    """The physical value of every coordinate at the points ``u`` (n, P): name -> (n,)."""
    return {name: d.icdf(column) for (name, d), column in zip(pipeline.parameters.items(), u.unbind(1), strict=True)}


def ranged(pipeline: HasParameters) -> Tensor:
    """Which coordinates (P,) have more than one value."""
    return torch.tensor([d.support[0] < d.support[1] for d in pipeline.parameters.values()], dtype=torch.bool)


def left_to_chance(transform: Transform) -> Tensor:
    """Which coordinates (P,) of ``transform`` no attack may choose: an order that is not searched."""
    return torch.tensor([not getattr(c.owner, "searched", True) for c in coordinates(transform)], dtype=torch.bool)


def is_range(coordinate: Coordinate) -> bool:
    """Whether a coordinate is one of degree, and not of which or whether."""
    low, high = coordinate.distribution.support
    choice = isinstance(coordinate.distribution, Choice) or coordinate.chosen(torch.tensor(0.5)) is not None
    return low < high and not choice


def _walk(
    transform: Transform, prefix: str, column: int, conditions: tuple[tuple[int, ChoosingTransform, int], ...]
) -> Iterator[Coordinate]:
    """The coordinates of ``transform``, which start at ``column``."""
    members: tuple[Transform, ...] = getattr(transform, "transforms", ())
    if not members and isinstance(getattr(transform, "transform", None), Transform):
        members = (transform.transform,)  # type: ignore[attr-defined]
    nested = sum(len(member.parameters) for member in members)
    own = list(transform.parameters.items())[: len(transform.parameters) - nested]
    for name, distribution in own:
        label = f"{type(transform).__name__} {name.replace('_', ' ')}"
        yield Coordinate(prefix + name, label, unit_of(transform, name), distribution, transform, conditions)
    start = column + len(own)
    for index, member in enumerate(members):
        # A gate or selector is its transform's only own coordinate.
        condition = ((column, transform, index),) if isinstance(transform, ChoosingTransform) else ()
        yield from _walk(member, f"{prefix}{index}.", start, conditions + condition)
        start += len(member.parameters)


def unit_of(transform: Transform, name: str) -> str:
    """The unit of a parameter, also of one that stands for several coordinates, as a perspective's distortion does."""
    units: Any = transform.units
    distribution = transform.parameters[name]
    fields = [field for field in units if getattr(transform, field, None) is distribution]
    unit = units.get(name) or (units[fields[0]] if len(fields) == 1 else "")
    return "" if unit == name or unit.startswith("from ") else unit

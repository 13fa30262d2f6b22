"""What the coordinates of a pipeline's unit cube mean: names, units, which of them act, which of them have a slope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from art_domainrand.core.random import TRIAL, derive, keys_of, normal, uniform
from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization.core.composites import OneOf, Sometimes
from art_domainrand.randomization.core.distributions import Choice, Distribution
from art_domainrand.randomization.core.keyed import keyed_draws
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Draw, Transform
from art_domainrand.randomization.numerics.selection import select
from art_domainrand.randomization.transforms.geometry import Flip
from art_domainrand.randomization.transforms.random_corruption import RandomCorruption

# Slopes are looked for on this many images of noise, each under a draw of its own.
PROBES = 32


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
    conditions: tuple[tuple[int, Transform, int], ...]

    def acts(self, u: Tensor) -> Tensor:
        """For which of the points ``u`` (n, P) this coordinate makes a difference, (n,)."""
        acting = torch.ones(len(u), dtype=torch.bool, device=u.device)
        for column, owner, member in self.conditions:
            acting &= chosen(owner, u[:, column]) == member
        return acting

    def text(self, u: Tensor) -> str:
        """The value at the coordinate ``u`` (a tensor with one element), with its unit."""
        u = u.reshape(1)
        if self.name.endswith("gate") and isinstance(self.owner, Sometimes):
            return "applied" if int(chosen(self.owner, u)) == 0 else "not applied"
        if self.name.endswith("selector") and isinstance(self.owner, OneOf):
            return name_of(self.owner.transforms[int(chosen(self.owner, u))])
        own = self.name.rpartition(".")[2]
        if isinstance(self.owner, Flip):
            return "flipped" if float(u) < getattr(self.owner, own) else "not flipped"
        if isinstance(self.owner, RandomCorruption) and own == "name":
            names = self.owner.names
            return names[min(int(u * len(names)), len(names) - 1)]
        return f"{float(self.distribution.icdf(u)):.4g}{f' {self.unit}' if self.unit else ''}"


def coordinates(pipeline: Pipeline) -> list[Coordinate]:
    """Every coordinate of ``pipeline``, in the order of ``draw.u``."""
    found = list(_walk(pipeline.chain, "", 0, ()))
    assert [coordinate.name for coordinate in found] == list(pipeline.parameters)
    return found


def physical_values(pipeline: Pipeline, u: Tensor) -> dict[str, Tensor]:
    """The physical value of every coordinate at the points ``u`` (n, P): name -> (n,)."""
    return {name: d.icdf(column) for (name, d), column in zip(pipeline.parameters.items(), u.unbind(1), strict=True)}


def sloped(view: DomainRandomization, shape: tuple[int, ...]) -> Tensor:
    """Which coordinates (P,) a gradient can climb for images of ``shape``, (P,) bool, on the CPU.

    Those of transforms that are differentiable, are no choice, and have a slope on images of noise under some of
    :data:`PROBES` draws: gates and selectors, thresholds and rounded numbers have none.
    """
    pipeline = view.pipeline
    smooth = [c.owner.differentiable and not isinstance(c.distribution, Choice) for c in coordinates(pipeline)]
    may = torch.tensor(smooth, dtype=torch.bool)
    if not may.any():
        return may
    keys = keys_of(0, TRIAL, torch.arange(PROBES))
    low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in view.clip_values)
    noise = low + (high - low) * uniform(derive(keys, 0), shape)
    draw = keyed_draws(pipeline, keys[:1], PROBES, "stratified")  # every choice of a sixteenth or more is seen
    with torch.enable_grad():
        u = draw.u.requires_grad_()
        seen = view.randomize(noise, Draw(u, draw.seeds))
        if not seen.requires_grad:
            return torch.zeros_like(may)
        weights = normal(derive(keys, 2), seen.shape[1:]).to(seen.dtype)
        (slope,) = torch.autograd.grad(seen, u, weights, allow_unused=True)
    return may & (torch.zeros_like(u) if slope is None else slope).ne(0).any(0)


def ranged(pipeline: Pipeline) -> Tensor:
    """Which coordinates (P,) have more than one value."""
    return torch.tensor([d.support[0] < d.support[1] for d in pipeline.parameters.values()], dtype=torch.bool)


def chosen(owner: Transform, u: Tensor) -> Tensor:
    """Which member of ``owner`` is applied at the coordinates ``u`` of its gate or selector; -1 for none."""
    if isinstance(owner, Sometimes):
        return torch.where(u < owner.p, 0, -1)
    assert isinstance(owner, OneOf)
    options = [torch.full_like(u, k) for k in range(len(owner.transforms))]
    return select(u, owner.weights, options).long()


def name_of(transform: Transform) -> str:
    """What a transform is called: its class, or those it is made of."""
    members = getattr(transform, "transforms", None)
    if members is None or isinstance(transform, OneOf):
        return type(transform).__name__
    return " + ".join(name_of(member) for member in members)


def _walk(
    transform: Transform, prefix: str, column: int, conditions: tuple[tuple[int, Transform, int], ...]
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
        condition = ((column, transform, index),) if isinstance(transform, (Sometimes, OneOf)) else ()
        yield from _walk(member, f"{prefix}{index}.", start, conditions + condition)
        start += len(member.parameters)


def unit_of(transform: Transform, name: str) -> str:
    """The unit of a parameter, also of one that stands for several coordinates, as a perspective's distortion does."""
    units: Any = transform.units
    distribution = transform.parameters[name]
    fields = [field for field in units if getattr(transform, field, None) is distribution]
    unit = units.get(name) or (units[fields[0]] if len(fields) == 1 else "")
    return "" if unit == name or unit.startswith("from ") else unit

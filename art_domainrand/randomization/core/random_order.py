"""Several transforms in an order that is drawn for each image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations
from math import factorial

import torch
from torch import Tensor

from art_domainrand.randomization.core.chain import nested_values, prefixed
from art_domainrand.randomization.core.choosing import apply_chosen, name_of, same_shape
from art_domainrand.randomization.core.distributions import Distribution, Uniform
from art_domainrand.randomization.core.pipeline import Item, as_transform
from art_domainrand.randomization.core.transform import PixelTransform, Transform, Values, settled
from art_domainrand.randomization.numerics.matrices import constant
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, where

MOST_ORDERED = 7
"""How many transforms may be ordered: all of their 5040 orders are written out."""


@dataclass(frozen=True)
class RandomOrder(PixelTransform):
    """Apply all of several transforms to each image, one after the other, in an order of the image's own.

    The order is one coordinate of the unit cube, beside those of the transforms, which keep theirs whatever their
    place. So a search over the cube schedules the transforms, too. They do not fuse. On the CPU each is computed, at
    each place, for the images that have it there; elsewhere, where the host would have to wait, for all, and the
    results are selected.

    :param transforms: one to seven transforms, pipelines, lists of such or Kornia modules; each must keep the images'
        shape.
    :param searched: whether an attack on the domain may choose the order; False leaves it to chance: an image has the
        order that is drawn for it, whatever is tried.
    :raises ValueError: for no transforms, and for more than seven.
    :raises TypeError: for what is no list of transforms, and for ``searched`` that is no bool.
    """

    transforms: tuple[Transform, ...]
    searched: bool = True

    def __init__(self, transforms: Iterable[Item], searched: bool = True) -> None:
        if isinstance(transforms, str) or not isinstance(transforms, Iterable):
            raise TypeError(f"transforms must be a list of transforms, got {transforms!r:.80}")
        members = tuple(as_transform(item) for item in transforms)
        if not 1 <= len(members) <= MOST_ORDERED:
            raise ValueError(f"transforms must hold 1 to {MOST_ORDERED} transforms, got {len(members)}")
        if not isinstance(searched, bool):
            raise TypeError(f"searched must be a bool, got {searched!r:.80}")
        object.__setattr__(self, "transforms", members)
        object.__setattr__(self, "searched", searched)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The order, then the members' own under their indices."""
        return {"order": Uniform(0.0, 1.0), **prefixed(self.transforms)}

    @cached_property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether any member is."""
        return any(transform.seeded for transform in self.transforms)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether all members are."""
        return all(transform.differentiable for transform in self.transforms)

    def check_channels(self, channels: int) -> None:
        for transform in self.transforms:
            transform.check_channels(channels)

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        order = orders_at(columns[0].detach(), len(self.transforms))
        return {"order": order, **nested_values(self.transforms, columns[1:], seeds)}

    def chosen(self, name: str, u: Tensor) -> str | None:
        return " > ".join(name_of(self.transforms[k]) for k in orders_at(u, len(self.transforms))[0].tolist())

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        for member in self._in_turn(values, way):
            start = points
            for k, transform in enumerate(self.transforms):
                moved = settled(transform, transform.carry(start, values[str(k)], frame, way), frame, way)
                points = where(member == k, moved, points)
        return points

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        for member in self._in_turn(values, way):
            start = order
            for k, transform in enumerate(self.transforms):
                order = torch.where((member == k)[:, None], transform.reorder(start, values[str(k)], way), order)
        return order

    def apply(self, x: Tensor, values: Values) -> Tensor:
        own = [values[str(k)] for k in range(len(self.transforms))]
        change = apply_chosen if x.device.type == "cpu" else apply_selected
        for member in values["order"].unbind(1):
            x = change(x, member, self.transforms, own)
        return x

    def _in_turn(self, values: Values, way: Carrying) -> list[Tensor]:
        """Which member each image has at each place, (B,), from the last place on where the way leads back."""
        members = list(values["order"].unbind(1))
        return members[::-1] if way.backward else members


def apply_selected(x: Tensor, choice: Tensor, members: Sequence[Transform], values: Sequence[Values]) -> Tensor:
    """What :func:`apply_chosen` comes to, without reading the ``choice``: all are computed, and one is taken."""
    changed = x
    for k, (member, own) in enumerate(zip(members, values, strict=True)):
        changed = torch.where((choice == k)[:, None, None, None], same_shape(x, member.apply(x, own)), changed)
    return changed


def orders_at(u: Tensor, count: int) -> Tensor:
    """The orders of ``count`` things at points (n,) of [0, 1]: the places' members, (n, count) int64.

    Each order has an equal share of the interval.
    """
    table = constant(all_orders(count), torch.int64, u.device)
    return table[(u * factorial(count)).long().clamp(0, factorial(count) - 1)]


@lru_cache(maxsize=MOST_ORDERED)
def all_orders(count: int) -> tuple[tuple[int, ...], ...]:
    """Every order of so many things, the given one first."""
    return tuple(permutations(range(count)))

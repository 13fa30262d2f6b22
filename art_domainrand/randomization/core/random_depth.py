"""The first few of several transforms, how many being drawn for each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.chain import nested_values, prefixed
from art_domainrand.randomization.core.choosing import ChoosingTransform, apply_chosen, same_shape
from art_domainrand.randomization.core.distributions import Distribution, Uniform
from art_domainrand.randomization.core.pipeline import Item, as_transform
from art_domainrand.randomization.core.transform import Kind, Transform, Values, settled
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, where


@dataclass(frozen=True)
class RandomDepth(ChoosingTransform):
    """Apply the first n of several transforms, one after the other; n is drawn for each image, all depths being alike.

    On the CPU each is computed for the images that go so deep; elsewhere, where the host would have to wait, for all,
    and the results are selected. The bits are the same.

    :param transforms: at least one transform, pipeline, list of such or Kornia module; each must keep the images'
        shape.
    :param least: the smallest n, from 0 to the number of transforms.
    :raises ValueError: for no transforms, and for ``least`` outside these bounds.
    """

    transforms: tuple[Transform, ...]
    least: int = 1

    def __init__(self, transforms: Iterable[Item], least: int = 1) -> None:
        members = tuple(as_transform(item) for item in transforms)
        require(len(members) > 0, "transforms", "hold at least one transform", members)
        whole = isinstance(least, int) and not isinstance(least, bool)
        require(whole and 0 <= least <= len(members), "least", f"be an int from 0 to {len(members)}", least)
        object.__setattr__(self, "transforms", members)
        object.__setattr__(self, "least", least)

    @property
    def kind(self) -> Kind:
        return Kind.PIXEL

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The depth, then the members' own under their indices."""
        return {"depth": Uniform(0.0, 1.0), **prefixed(self.transforms)}

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
        return {"depth": self.depth_at(columns[0].detach()), **nested_values(self.transforms, columns[1:], seeds)}

    def depth_at(self, u: Tensor) -> Tensor:
        """How many transforms are applied at the points ``u`` (n,) of [0, 1]: (n,) int64."""
        depths = len(self.transforms) - self.least + 1
        return self.least + (u * depths).long().clamp(0, depths - 1)

    def chosen(self, name: str, u: Tensor) -> str | None:
        return f"{int(self.depth_at(u))} of {len(self.transforms)}"

    def member(self, u: Tensor) -> Tensor:
        return self.depth_at(u) - 1

    def applies(self, u: Tensor, index: int) -> Tensor:
        return self.depth_at(u) > index

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        for reached, transform, own in self._steps(values, backward=way.backward):
            moved = settled(transform, transform.carry(points, own, frame, way), frame, way)
            points = where(reached, moved, points)
        return points

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        for reached, transform, own in self._steps(values, backward=way.backward):
            order = torch.where(reached[:, None], transform.reorder(order, own, way), order)
        return order

    def apply(self, x: Tensor, values: Values) -> Tensor:
        for reached, transform, own in self._steps(values):
            if x.device.type == "cpu":
                x = apply_chosen(x, reached.long(), (None, transform), ({}, own))
            else:
                x = torch.where(reached[:, None, None, None], same_shape(x, transform.apply(x, own)), x)
        return x

    def _steps(self, values: Values, *, backward: bool = False) -> Iterator[tuple[Tensor, Transform, Values]]:
        """Which images reach it (B,), the transform, and its values; from the last one on where the way leads back."""
        steps = list(enumerate(self.transforms))
        for index, transform in reversed(steps) if backward else steps:
            yield values["depth"] > index, transform, values[str(index)]

"""A transform several times in a row, how often being drawn for each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    """Apply a transform n times, with a draw of its own each time; n is drawn for each image, evenly.

    On the CPU each time is computed for the images that go so deep; elsewhere, where the host would have to wait, for
    all, and the results are selected. The bits are the same.

    :param transform: a transform, a pipeline, a list of such, or a Kornia module; it must keep the images' shape.
    :param depth: the smallest and the largest n, 0 <= smallest <= largest >= 1.
    :raises ValueError: for a depth outside these bounds.
    """

    transform: Transform
    depth: tuple[int, int] = (1, 3)

    def __init__(self, transform: Item, depth: tuple[int, int] = (1, 3)) -> None:
        pair = isinstance(depth, (tuple, list)) and len(depth) == 2 and all(isinstance(n, int) for n in depth)
        rule = "be two ints, 0 <= smallest <= largest >= 1"
        require(pair and 0 <= depth[0] <= depth[1] and depth[1] >= 1, "depth", rule, depth)
        object.__setattr__(self, "transform", as_transform(transform))
        object.__setattr__(self, "depth", tuple(map(int, depth)))

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """The transform, as often as it may be applied: each time has coordinates of its own."""
        return (self.transform,) * self.depth[1]

    @property
    def kind(self) -> Kind:
        return Kind.PIXEL

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The depth, then the transform's own under the index of each time."""
        return {"depth": Uniform(0.0, 1.0), **prefixed(self.transforms)}

    @cached_property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether the transform is."""
        return self.transform.seeded

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether the transform is."""
        return self.transform.differentiable

    def check_channels(self, channels: int) -> None:
        self.transform.check_channels(channels)

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        return {"depth": self.depth_at(columns[0].detach()), **nested_values(self.transforms, columns[1:], seeds)}

    def depth_at(self, u: Tensor) -> Tensor:
        """How often the transform is applied.

        :param u: the transform's own coordinate, (n,).
        :return: (n,) int64.
        """
        least, most = self.depth
        return least + (u * (most - least + 1)).long().clamp(0, most - least)

    def chosen(self, name: str, u: Tensor) -> str | None:
        return f"{int(self.depth_at(u))} times"

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
        """Which images go so deep (B,), the transform, and its values; the last time first where the way leads back."""
        times = range(self.depth[1])
        for index in reversed(times) if backward else times:
            yield values["depth"] > index, self.transform, values[str(index)]

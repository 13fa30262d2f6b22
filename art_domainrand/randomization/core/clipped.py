"""A transform whose result is held to [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from art_domainrand.core.straight_through import held_to_unit
from art_domainrand.randomization.core.chain import nested_values, prefixed
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.pipeline import Item, as_transform
from art_domainrand.randomization.core.transform import PixelTransform, Transform, Values, settled
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame


@dataclass(frozen=True)
class Clipped(PixelTransform):
    """Apply a transform and clip what it yields to [0, 1], as operations on 8-bit images do.

    A pipeline clips nothing itself, and whoever applies it does so once, at the end. Where one operation follows
    another and each is defined with its clipping, as in policies of augmentation, this goes around each.

    :param transform: a transform, a pipeline, a list of such, or a Kornia module.
    """

    transform: Transform

    def __init__(self, transform: Item) -> None:
        object.__setattr__(self, "transform", as_transform(transform))

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The transform's own under the index 0."""
        return prefixed((self.transform,))

    @property
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
        return nested_values((self.transform,), columns, seeds)

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        return settled(self.transform, self.transform.carry(points, values["0"], frame, way), frame, way)

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        return self.transform.reorder(order, values["0"], way)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return held_to_unit(self.transform.apply(x, values["0"]))

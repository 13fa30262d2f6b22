"""Random linear filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from art_domainrand.core.checks import require
from art_domainrand.core.hashing import normal_field
from art_domainrand.core.straight_through import held_to_unit
from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values


@dataclass(frozen=True)
class RandomFilter(PixelTransform):
    """Correlate the image with a random kernel, the same for all channels, and clip: the spectral change of PRIME.

    The kernel is the identity plus independent normal numbers of the standard deviation ``strength``; beyond the image
    there is black. (The authors' program adds the one not at the kernel's centre but one pixel right of it and below.)

    :param strength: the standard deviation, >= 0.
    :param size: the kernel's side in pixels, an odd int >= 1.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 4.0)
    size: int = 3
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"strength": "standard deviation"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0)
        whole = isinstance(self.size, int) and not isinstance(self.size, bool)
        require(whole and self.size >= 1 and self.size % 2 == 1, "size", "be an odd int >= 1", self.size)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        reach = self.size // 2
        noise = normal_field(values["seed"], self.size**2, x.dtype) * values["strength"][:, None]
        padded = functional.pad(x, (reach, reach, reach, reach))
        changed = x
        for place, weight in enumerate(noise.unbind(1)):
            row, column = divmod(place, self.size)
            changed = changed + padded[:, :, row : row + height, column : column + width] * weight.view(-1, 1, 1, 1)
        return held_to_unit(changed)

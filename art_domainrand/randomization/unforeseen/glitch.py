"""Lines of an image that slip to the side, each colour by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.unforeseen.latents import (
    SIGNED,
    each,
    for_channels,
    latent_grid,
    latents,
    require_counts,
)


@dataclass(frozen=True)
class Glitch(PixelTransform):
    """Shift bars of rows to the side, each channel on its own; beyond the border the image is mirrored.

    The three shifts of each bar are coordinates from -1 to 1: an adversary moves them ("glitch" of ImageNet-UA,
    Kaufmann et al., arXiv:1908.08016). Images that are not RGB move by the mean of the three in all channels. Labels
    stay where they are.

    :param strength: the largest shift, from 0 to 0.5, as a share of the width. ImageNet-UA's eps is twice this.
    :param lines: the number of bars, an int >= 1.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 0.05)
    lines: int = 16
    units: ClassVar[Mapping[str, str]] = {"strength": "share of the width"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0, high=0.5)
        require_counts(lines=self.lines)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **latent_grid(SIGNED, "shift", 3, self.lines)}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        shifts = for_channels(latents(values, "shift", 3, self.lines)[:, :, :, None], x.shape[1])
        line = torch.arange(height, device=x.device) * self.lines // height
        shift = (shifts * (each(values["strength"]) * width)).index_select(2, line)
        place = torch.arange(width, dtype=x.dtype, device=x.device) + shift
        left = place.detach().floor()
        share = place - left
        first, second = (_mirrored(left.long() + step, width).expand(x.shape) for step in (0, 1))
        here = x.gather(3, first)
        return here + (x.gather(3, second) - here) * share


def _mirrored(index: Tensor, size: int) -> Tensor:
    """An index on an axis of ``size`` pixels that goes on beyond the border as its mirror image."""
    period = max(2 * (size - 1), 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index).clamp_max(size - 1)

"""Blocks of an image that lose their detail, and changes of their frequencies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
from torch import Tensor
from torch.nn import functional

from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.jpeg import FROM_YCC, mix_channels
from art_domainrand.randomization.numerics.matrices import Rows
from art_domainrand.randomization.numerics.splines import over_image
from art_domainrand.randomization.unforeseen.latents import (
    SHARE,
    SIGNED,
    each,
    for_channels,
    latent_grid,
    latents,
    require_counts,
    within_rms,
)


@dataclass(frozen=True)
class PixelBlocks(PixelTransform):
    """Blend each of ``blocks`` x ``blocks`` blocks with its mean colour, each channel by a share of its own.

    The shares are coordinates from 0 to 1: an adversary chooses where detail is lost ("pixel" of ImageNet-UA, Kaufmann
    et al., arXiv:1908.08016). Images that are not RGB take the mean of the three shares in all channels.

    :param strength: what the root mean square of the shares may be, from 0 to 1. ImageNet-UA's eps is sqrt(3) times
        ``blocks`` times this.
    :param blocks: the blocks along a side, an int >= 1; a pixel on the edge of two counts for both.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 0.7)
    blocks: int = 4
    units: ClassVar[Mapping[str, str]] = {"strength": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0, high=1)
        require_counts(blocks=self.blocks)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **latent_grid(SHARE, "share", 3, self.blocks, self.blocks)}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        size = (x.shape[2], x.shape[3])
        shares = within_rms(latents(values, "share", 3, self.blocks, self.blocks), values["strength"])
        share = functional.interpolate(for_channels(shares, x.shape[1]), size=size, mode="nearest")
        means = functional.interpolate(functional.adaptive_avg_pool2d(x, self.blocks), size=size, mode="nearest")
        return x + (means - x) * share


@dataclass(frozen=True)
class DCTNoise(PixelTransform):
    """Add noise to the cosine transform of blocks, as JPEG has it: of luma and of two differences of colour.

    The coefficients, the lowest ``frequencies`` x ``frequencies`` of each of ``blocks`` x ``blocks`` blocks and of
    three planes, are coordinates from -1 to 1: an adversary moves them ("jpeg" of ImageNet-UA, Kaufmann et al.,
    arXiv:1908.08016; with 8 frequencies and blocks of 8 pixels it is that attack). Images that are not RGB get the mean
    of the three planes in all channels.

    :param strength: the root mean square of the noise where every coefficient is at its bound, >= 0, in units of
        [0, 1]. It is ImageNet-UA's eps where all frequencies are there, and with fewer the same L2 norm in all.
    :param blocks: the blocks along a side, an int >= 1.
    :param frequencies: how many frequencies of each axis, an int >= 1; those that a block of few pixels has not are
        without effect.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 6 / 255)
    blocks: int = 3
    frequencies: int = 2
    units: ClassVar[Mapping[str, str]] = {"strength": "intensity"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0)
        require_counts(blocks=self.blocks, frequencies=self.frequencies)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        count = self.blocks * self.frequencies
        return {**super().parameters, **latent_grid(SIGNED, "coefficient", 3, count, count)}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        count = self.blocks * self.frequencies
        bound = each(values["strength"]) * (math.sqrt(height * width) / count)
        coefficients = for_channels(latents(values, "coefficient", 3, count, count), x.shape[1]) * bound
        down, across = (_cosines(size, self.blocks, self.frequencies) for size in (height, width))
        planes = over_image(coefficients, down, across)
        return x + (mix_channels(planes, FROM_YCC) if planes.shape[1] == 3 else planes)


@lru_cache(maxsize=32)
def _cosines(size: int, blocks: int, frequencies: int) -> Rows:
    """The orthonormal DCT-II of each of ``blocks`` parts of an axis, as columns: (size, blocks frequencies)."""
    block = np.arange(size) * blocks // size
    columns = np.zeros((size, blocks, frequencies))
    for number in range(blocks):
        inside = np.flatnonzero(block == number)
        count = len(inside)
        for frequency in range(min(frequencies, count)):
            wave = np.cos((2 * np.arange(count) + 1) * frequency * np.pi / (2 * count))
            columns[inside, number, frequency] = wave / np.sqrt(np.square(wave).sum())
    return tuple(map(tuple, columns.reshape(size, -1).tolist()))

"""Gabor noise whose impulses are chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Distribution, LogUniform, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.matrices import multiply
from art_domainrand.randomization.unforeseen.latents import SIGNED, for_channels, latent_grid, latents, require_counts


@dataclass(frozen=True)
class GaborNoise(PixelTransform):
    """Add Gabor noise: impulses on a lattice, each a wave under a Gaussian window (Lagae et al., SIGGRAPH 2009).

    The weights of the impulses, three channels of ``cells`` x ``cells``, are coordinates from -1 to 1, as are the
    direction and the frequency of the waves: an adversary moves them ("gabor" of ImageNet-UA, Kaufmann et al.,
    arXiv:1908.08016). Images that are not RGB get the mean of the three noises in all channels.

    :param strength: the standard deviation of the noise, far from the border, where all weights are drawn at random;
        >= 0, in units of [0, 1]. It bounds the weights at sqrt(6 a / pi) / s times itself, with the window's standard
        deviation s in pixels and a pixels for each impulse.
    :param frequency: waves along the shorter side, >= 0.
    :param angle: the direction of the first wave, in degrees.
    :param size: the standard deviation of the window, as a share of the shorter side; >= 0.01.
    :param cells: the impulses along a side, an int >= 1.
    :param directions: how many waves, evenly turned over 180 degrees, make up an impulse; an int >= 1.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 0.15)
    frequency: Range = LogUniform(3.0, 8.0)
    angle: Range = Uniform(0.0, 180.0)
    size: Range = Uniform(0.15, 0.2)
    cells: int = 4
    directions: int = 3
    units: ClassVar[Mapping[str, str]] = {
        "strength": "intensity",
        "frequency": "per shorter side",
        "angle": "degrees",
        "size": "share of the shorter side",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strength", "frequency"):
            require_support(name, getattr(self, name), low=0)
        require_support("size", self.size, low=0.01)
        require_counts(cells=self.cells, directions=self.directions)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **latent_grid(SIGNED, "weight", 3, self.cells, self.cells)}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        side, cells = min(height, width), self.cells
        sigma = values["size"] * side
        area = height * width / cells**2
        bound = values["strength"] * (math.sqrt(6 * area / math.pi) / math.sqrt(self.directions)) / sigma
        weights = for_channels(latents(values, "weight", 3, cells, cells), x.shape[1]) * bound.view(-1, 1, 1, 1)
        channels = weights.shape[1]
        rows, columns = (_from_impulses(size, cells, x) for size in (height, width))
        # The window and the cosine of a sum are products of a function of the row and one of the column.
        windows = [torch.exp((place / sigma.view(-1, 1, 1)).square() * -0.5) for place in (rows, columns)]
        left, right = [], []
        for turn in range(self.directions):
            radians = torch.deg2rad(values["angle"] + 180.0 * turn / self.directions)
            wave = values["frequency"] * (2 * math.pi / side)
            down, across = (
                (place * (wave * part).view(-1, 1, 1))
                for place, part in ((rows, radians.sin()), (columns, radians.cos()))
            )
            for of_row, of_column in ((down.cos(), across.cos()), (-down.sin(), across.sin())):
                left.append((windows[0] * of_row).transpose(1, 2))
                spread = multiply(weights.flatten(1, 2), windows[1] * of_column)
                right.append(spread.view(-1, channels, cells, width).transpose(1, 2).flatten(2))
        noise = multiply(torch.cat(left, dim=2), torch.cat(right, dim=1))
        return x + noise.view(-1, height, channels, width).transpose(1, 2)


def _from_impulses(size: int, cells: int, like: Tensor) -> Tensor:
    """How far each of ``size`` pixels is from each of ``cells`` impulses along an axis, (1, cells, size)."""
    pixels = torch.arange(size, dtype=like.dtype, device=like.device) + 0.5
    impulses = (torch.arange(cells, dtype=like.dtype, device=like.device) + 0.5) * (size / cells)
    return (pixels - impulses[:, None])[None]

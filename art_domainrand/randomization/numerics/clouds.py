"""Fractal fields: what fog, frost and stains are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import member_seeds, uniform_field
from art_domainrand.randomization.numerics.matrices import pixel_sum

SMALLEST_SPREAD = 1e-6
"""Fields that vary less than this are not scaled up: there is nothing but rounding in them."""


def plasma(seeds: Tensor, size: int, decay: Tensor) -> Tensor:
    """A cloud (B, size, size) in [0, 1] that touches both ends, by the diamond-square algorithm; ``size`` a power of 2.

    Every halving of the distance divides the random part by the square of ``decay`` (B,), as in the reference code of
    Hendrycks and Dietterich (ICLR 2019), where both factors of ``wibble * uniform(-wibble, wibble)`` decay: 1 is white
    noise, 3 a smooth hill. The field is periodic. (A. Fournier, D. Fussell and L. Carpenter, "Computer rendering of
    stochastic models", CACM 25, 1982.)
    """
    corners = torch.zeros(len(seeds), 1, 1, dtype=decay.dtype, device=seeds.device)
    shrink = 1 / decay.square().view(-1, 1, 1)
    amplitude = torch.ones_like(shrink)
    level = 0
    while corners.shape[1] < size:
        count = corners.shape[1]
        noise = uniform_field(member_seeds(seeds, level), 3 * count * count, decay.dtype).mul_(2).sub_(1)
        for_squares, for_rows, for_columns = (noise.view(-1, 3, count, count) * amplitude[:, None]).unbind(1)
        beside = corners + corners.roll(-1, 2)
        below = corners + corners.roll(-1, 1)
        squares = (beside + beside.roll(-1, 1)) / 4 + for_squares
        rows = (squares + squares.roll(1, 1) + beside) / 4 + for_rows
        columns = (squares + squares.roll(1, 2) + below) / 4 + for_columns
        corners = torch.stack(
            (torch.stack((corners, rows), dim=3).flatten(2), torch.stack((columns, squares), dim=3).flatten(2)), dim=2
        ).flatten(1, 2)
        amplitude = amplitude * shrink
        level += 1
    flat = corners.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    spread = (high - low).clamp_min(SMALLEST_SPREAD)
    return (corners - low.view(-1, 1, 1)) / spread.view(-1, 1, 1)


def cloud(seeds: Tensor, height: int, width: int, decay: Tensor) -> Tensor:
    """The corner (B, 1, height, width) of the smallest :func:`plasma` that holds it."""
    size = 1 << (max(height, width) - 1).bit_length()
    return plasma(seeds, size, decay)[:, None, :height, :width]


def value_noise(x: Tensor, octaves: Sequence[Tensor], cells: int) -> Tensor:
    """Smooth random values in [0, 1] like ``x``, (B, 1, H, W), of ``cells`` lumps a side.

    Random numbers on a lattice, interpolated, with a lattice of half the spacing added at half the height for each
    further entry of ``octaves``, the seeds (B,) of the lattices.
    """
    total, weight = torch.zeros_like(x[:, :1]), 0.0
    for octave, seeds in enumerate(octaves):
        side = cells * 2**octave + 1
        lumps = uniform_field(seeds, side * side, x.dtype).view(-1, 1, side, side)
        total = total + functional.interpolate(lumps, x.shape[2:], mode="bilinear", align_corners=True) * 0.5**octave
        weight += 0.5**octave
    return total / weight


def standardized(field: Tensor) -> Tensor:
    """Shift and scale each plane of ``field`` (B, C, H, W) to mean 0 and standard deviation 1."""
    pixels = field.shape[2] * field.shape[3]
    centred = field - (pixel_sum(field) / pixels).unsqueeze(3)
    spread = (pixel_sum(centred.square()) / pixels + SMALLEST_SPREAD**2).sqrt()
    return centred / spread.unsqueeze(3)

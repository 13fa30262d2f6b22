"""Frost on a pane: ice flowers and grain."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import member_seeds, normal_field, uniform_field
from art_domainrand.randomization.numerics.clouds import cloud, standardized
from art_domainrand.randomization.numerics.luma import tint
from art_domainrand.randomization.numerics.particles import streaks

# The colours between which a frosted pane is drawn. The five photographs that the reference code of Hendrycks and
# Dietterich (ICLR 2019) lays over images have the mean colours (0.30, 0.58, 0.64) to (0.78, 0.80, 0.84), together
# (0.56, 0.65, 0.69), and inside a crop of 224 pixels the standard deviation 0.09.
DARK_FROST, LIGHT_FROST = (0.255, 0.45, 0.49), (0.78, 0.80, 0.84)
FROST_SPREAD = 0.09
NEEDLE_DIRECTIONS = 3


def crystals(x: Tensor, seeds: Tensor, roughness: Tensor) -> Tensor:
    """Ice flowers like ``x``, (B, 1, H, W), of mean 0 and standard deviation 1: needles in many directions.

    They grow where a cloud is thick; ``roughness`` (B,) from 0 to 1 is the share of fine grain.
    """
    height, width = x.shape[2:]
    ground = cloud(member_seeds(seeds, 0), height, width, roughness.new_full((len(x),), 1.6))
    turn = uniform_field(member_seeds(seeds, 1), 1, x.dtype)[:, 0] * 180
    side = min(height, width)
    # The width, the length and the share of places with a needle.
    needles = [roughness.new_full((len(x),), number) for number in (max(side * 0.014, 1.5), max(side * 0.13, 3.0), 0.9)]
    ice = torch.zeros_like(ground)
    for index in range(NEEDLE_DIRECTIONS):
        lean = turn + index * (180 / NEEDLE_DIRECTIONS)
        ice = ice + streaks(x, member_seeds(seeds, 2 + index), lean, *needles)
    grain = normal_field(member_seeds(seeds, 1), height * width, x.dtype).view(ground.shape)
    share = roughness.view(-1, 1, 1, 1)
    smooth = standardized(ground * (0.5 + ice))
    return standardized(smooth * (1 - share) + box_blur(grain) * (2 * share))


def frosted_pane(x: Tensor, seeds: Tensor, roughness: Tensor) -> Tensor:
    """A pane of frost to lay over ``x`` (B, C, H, W): ice flowers on a blue-white ground, as bright as ``seeds`` say.

    (B, 3, H, W), or (B, 1, H, W) if ``x`` is not RGB. ``roughness`` (B,) as for :func:`crystals`.
    """
    ice = crystals(x, seeds, roughness) * FROST_SPREAD
    # The photographs are either dark or light: an arcsine distribution.
    light = (1 - torch.cos(torch.pi * uniform_field(member_seeds(seeds, 3), 1, x.dtype))).view(-1, 1, 1, 1) / 2
    dark, bright = tint(DARK_FROST, x), tint(LIGHT_FROST, x)
    return dark + (bright - dark) * (0.15 + 0.85 * light) + ice


def box_blur(x: Tensor) -> Tensor:
    """The mean of 3x3 pixels of ``x`` (B, C, H, W), the border repeated."""
    return functional.avg_pool2d(functional.pad(x, (1,) * 4, mode="replicate"), 3, stride=1)

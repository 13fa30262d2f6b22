"""Rings of wood that are bent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.splines import linear_surface
from art_domainrand.randomization.unforeseen.latents import SIGNED, each, latent_grid, latents, require_counts

RING_ROOT = 8
"""The root that makes a sine a thin dark ring, as in ImageNet-UA."""

DARKEST = 1e-3
"""The sine that the middle of a ring is not below: without it the root's slope would be infinite there."""


@dataclass(frozen=True)
class Wood(PixelTransform):
    """Darken the image by the rings of a trunk about its centre: x (1 - depth + depth |sin(pi rings (r + o))|^(1/8)).

    The distance r from the centre is 1 in the middle of a side. The field o runs linearly between ``nodes`` x ``nodes``
    points, whose values are coordinates: an adversary bends the rings ("wood" of ImageNet-UA, Kaufmann et al.,
    arXiv:1908.08016).

    :param strength: the largest o; >= 0, as a share of half the image.
    :param depth: how dark the rings are, from 0, the image as it was, to 1.
    :param rings: how many of them there are from the centre to the middle of a side; >= 0.
    :param nodes: the points along a side, an int >= 1.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 0.1)
    depth: Range = Uniform(0.5, 1.0)
    rings: Range = Uniform(4.0, 5.0)
    nodes: int = 6
    units: ClassVar[Mapping[str, str]] = {
        "strength": "share of half the image",
        "depth": "share",
        "rings": "per half of the image",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strength", "rings"):
            require_support(name, getattr(self, name), low=0)
        require_support("depth", self.depth, low=0, high=1)
        require_counts(nodes=self.nodes)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **latent_grid(SIGNED, "bend", self.nodes, self.nodes)}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        bend = latents(values, "bend", self.nodes, self.nodes)[:, None] * each(values["strength"])
        radius = _from_centre(height, width, x) + linear_surface(bend, height, width)
        sine = torch.sin(radius * (each(values["rings"]) * math.pi))
        # A logarithm and an exponential: torch's power rounds the end of a row of memory differently.
        shade = torch.exp(torch.log(sine.square() + DARKEST**2) / (2 * RING_ROOT))
        depth = each(values["depth"])
        return x * (1 - depth + depth * shade)


def _from_centre(height: int, width: int, like: Tensor) -> Tensor:
    """The distance of every pixel from the centre, in halves of the sides, (1, 1, H, W)."""
    down, across = (
        (2 * torch.arange(size, dtype=like.dtype, device=like.device) + 1) / size - 1 for size in (height, width)
    )
    return (down[:, None].square() + across.square()).sqrt()[None, None]

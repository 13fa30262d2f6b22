"""Bright shapes in front of an image, their colours chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.hashing import uniform_field
from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.matrices import constant
from art_domainrand.randomization.unforeseen.latents import (
    SHARE,
    SIGNED,
    each,
    for_channels,
    latent_grid,
    latents,
    require_counts,
)

LEAST_SATURATION, LEAST_VALUE = 0.7, 0.8
"""Shapes are as bright as ImageNet-UA's: so much saturation and value of HSV at least."""

TRIANGLE = 1.5 / math.sin(math.pi / 3)
"""The side of a triangle where that of a square is one, as in ImageNet-UA."""


@dataclass(frozen=True)
class Kaleidoscope(PixelTransform):
    """Put bright circles, squares and triangles with dark edges in front of the image.

    What they are, and their first colours, are drawn; how far each colour is from the first, how bright the edge is,
    and where the shape lies, are coordinates: an adversary moves them ("kaleidoscope" of ImageNet-UA, Kaufmann et al.,
    arXiv:1908.08016, whose shapes stay where they were drawn). Images that are not RGB get the mean of the colours.

    :param strength: how far a colour goes in each channel, either way, and how bright an edge may be; >= 0, in units of
        [0, 1].
    :param opacity: how much of the image is hidden behind shapes, in [0, 1]. Edges hide all of it, as theirs do.
    :param size: the diameter of a circle and the side of a square, as a share of the shorter side; >= 0.
    :param edge: how wide the edges are, as a share of the shorter side; >= 0.
    :param shapes: how many there are, an int >= 1; later ones lie in front.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 0.15)
    opacity: Range = Uniform(0.5, 0.9)
    size: Range = Uniform(0.1, 0.2)
    edge: Range = Uniform(0.01, 0.06)
    shapes: int = 3
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {
        "strength": "intensity",
        "opacity": "share",
        "size": "share of the shorter side",
        "edge": "share of the shorter side",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("opacity", self.opacity, low=0, high=1)
        for name in ("strength", "size", "edge"):
            require_support(name, getattr(self, name), low=0)
        require_counts(shapes=self.shapes)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {
            **super().parameters,
            **latent_grid(SIGNED, "colour", self.shapes, 3),
            **latent_grid(SHARE, "edge", self.shapes),
            **latent_grid(SHARE, "place", self.shapes, 2),
        }

    def apply(self, x: Tensor, values: Values) -> Tensor:
        side = min(x.shape[2:])
        random = uniform_field(values["seed"], 5 * self.shapes, x.dtype).view(-1, self.shapes, 5)
        strength = values["strength"].view(-1, 1, 1)
        colours = _bright(random[:, :, 2:]) + latents(values, "colour", self.shapes, 3) * strength
        edges = latents(values, "edge", self.shapes) * strength[:, 0]
        places = latents(values, "place", self.shapes, 2)
        size, width, opacity = values["size"] * side, values["edge"] * side, each(values["opacity"])
        for shape in range(self.shapes):
            depth = _depth(x, places[:, shape], random[:, shape, :2], size)[:, None]
            inside = (depth + 0.5).clamp(0, 1)
            ring = (depth + (each(width) + 0.5)).clamp(0, 1) - inside
            colour = for_channels(colours[:, shape], x.shape[1])[:, :, None, None]
            painted = opacity * inside * colour + ring * each(edges[:, shape])
            x = x * (1 - opacity * inside - ring) + painted
        return x


def _depth(x: Tensor, place: Tensor, random: Tensor, size: Tensor) -> Tensor:
    """How deep each pixel of ``x`` lies in a random shape, negative outside; in pixels, (B, H, W)."""
    height, width = x.shape[2:]
    place_x, place_y = place[:, :, None, None].unbind(1)
    turn, kind = random[:, :, None, None].unbind(1)
    right = torch.arange(width, dtype=x.dtype, device=x.device) + 0.5 - place_x * width
    below = torch.arange(height, dtype=x.dtype, device=x.device)[:, None] + 0.5 - place_y * height
    radians = turn * (2 * math.pi)
    cosine, sine = radians.cos(), radians.sin()
    across, down = right * cosine + below * sine, below * cosine - right * sine
    half = (size / 2).view(-1, 1, 1)
    circle = half - (right.square() + below.square() + 1e-12).sqrt()
    square = half - torch.maximum(across.abs(), down.abs())
    slope = across.abs() * (math.sqrt(3) / 2)
    triangle = half * (TRIANGLE / math.sqrt(3)) - torch.maximum(slope + down / 2, -down)
    return torch.where(kind < 1 / 3, circle, torch.where(kind < 2 / 3, square, triangle))


def _bright(random: Tensor) -> Tensor:
    """Bright colours (B, N, 3) from uniform numbers, by hue, saturation and value (Smith, SIGGRAPH 1978)."""
    hue, saturation, value = (random[:, :, part : part + 1] for part in range(3))
    saturation = LEAST_SATURATION + (1 - LEAST_SATURATION) * saturation
    value = LEAST_VALUE + (1 - LEAST_VALUE) * value
    sector = (hue * 6 + constant(((5.0, 3.0, 1.0),), random.dtype, random.device)) % 6
    dull = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value * (1 - saturation * dull)

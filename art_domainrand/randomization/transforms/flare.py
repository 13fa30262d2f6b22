"""The sun in the lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.luma import tint


@dataclass(frozen=True)
class SunFlare(PixelTransform):
    """The sun in the lens: a glare and coloured ghosts on the line from it through the image's centre.

    Light l is laid over the scene as ``x + l (1 - x)``.

    :param strength: the light of the glare at its middle, in [0, 1].
    :param x: where the sun is from the left, as a share of the width.
    :param y: where it is from the top, as a share of the height.
    :param radius: the radius of the glare, >= 0, as a share of the shorter side; at least one pixel.
    :param ghosts: the light of the ghosts, in [0, 1].
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.5, 1.0)
    x: Range = Uniform(0.0, 1.0)
    y: Range = Uniform(0.0, 0.6)
    radius: Range = Uniform(0.1, 0.35)
    ghosts: Range = Uniform(0.1, 0.5)
    units: ClassVar[Mapping[str, str]] = {
        "strength": "share",
        "x": "share",
        "y": "share",
        "radius": "share of the shorter side",
        "ghosts": "share",
    }

    # For each ghost: the place on the line (0 at the sun, 1 at the centre), the size and the colour.
    GHOSTS: ClassVar[tuple[tuple[float, float, tuple[float, float, float]], ...]] = (
        (0.55, 0.25, (1.0, 0.75, 0.4)),
        (1.35, 0.45, (0.5, 0.9, 0.6)),
        (1.6, 0.2, (0.6, 0.7, 1.0)),
        (2.0, 0.7, (0.9, 0.5, 0.6)),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strength", "ghosts"):
            require_support(name, getattr(self, name), low=0, high=1)
        require_support("radius", self.radius, low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        side = min(height, width)
        # Distances count in shorter sides, from the image's centre.
        across = (torch.arange(width, dtype=x.dtype, device=x.device) - (width - 1) / 2) / side
        down = (torch.arange(height, dtype=x.dtype, device=x.device)[:, None] - (height - 1) / 2) / side
        sun_x, sun_y = _plane((values["x"] - 0.5) * (width / side)), _plane((values["y"] - 0.5) * (height / side))
        radius = _plane(values["radius"]).clamp_min(1 / side)

        def distance(place: float) -> Tensor:
            """The squared distance from a place on the line, in radii."""
            squares: Tensor = (across - sun_x * (1 - place)).square() + (down - sun_y * (1 - place)).square()
            return squares / radius.square()

        squared = distance(0)
        glare = (0.7 * torch.exp(-2 * squared) + 0.3 / (1 + squared)) * _plane(values["strength"])
        x = x + (1 - x) * glare * tint((1.0, 0.97, 0.88), x)
        for place, size, color in self.GHOSTS:
            disk = (3 * (1 - distance(place) / size**2)).clamp(0, 1) * _plane(values["ghosts"] * 0.6)
            x = x + (1 - x) * disk * tint(color, x)
        return x


def _plane(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)

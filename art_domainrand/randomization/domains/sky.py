"""Domains of weather."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..transform import Values
from .domain import Domain, faded, tint
from .parts import branch, clouds, down, pixels, soften, tiles


@dataclass(frozen=True)
class Foggy(Domain):
    """Fog that thickens towards the top, where things are usually further away, and drifts in patches.

    x t + airlight (1 - t) with the transmission t (Koschmieder's law).
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        depth = 0.85 + 1.5 * (1 - down(x)) + 0.9 * (clouds(x, values["seed"], 3) - 0.5)
        through = (-depth).exp()
        air = tint((0.86, 0.88, 0.90), x)
        return air + (x - air) * through


@dataclass(frozen=True)
class Rainy(Domain):
    """Rain: leaning streaks at two distances before a dull, hazy and slightly blurred scene."""

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        scene = tint((0.66, 0.70, 0.76), x) * faded(soften(x, pixels(0.003, x, 0)), 0.55)
        scene = scene + 0.18 * tint((0.62, 0.66, 0.72), x)
        for layer, (width, length, share, light) in enumerate(((0.012, 0.10, 0.45, 0.32), (0.02, 0.22, 0.35, 0.5))):
            seeds = branch(values["seed"], layer)
            cells = tiles(x, seeds, pixels(width, x, 2), pixels(length, x, 4), 0.35, 2)
            falls, strength = cells.random
            along = 4 * cells.y * (1 - cells.y)
            streak = 4 * cells.x * (1 - cells.x) * along * (0.4 + 0.6 * strength) * (falls < share).to(x.dtype)
            scene = scene + (0.92 - scene) * (light * streak)
        return scene


@dataclass(frozen=True)
class Snowy(Domain):
    """Falling snow: flakes near and far before a pale, cold scene."""

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        scene = 0.62 * faded(x, 0.5) + tint((0.25, 0.27, 0.30), x)
        for layer, (size, share) in enumerate(((0.018, 0.30), (0.04, 0.35), (0.09, 0.30))):
            side = pixels(size, x, 3)
            cells = tiles(x, branch(values["seed"], layer), side, side, 0.25, 4)
            falls, left, top, large = cells.random
            radius = 0.14 + 0.14 * large
            offset_x = (cells.x - radius - (1 - 2 * radius) * left) / radius
            offset_y = (cells.y - radius - (1 - 2 * radius) * top) / radius
            flake = (1.15 - offset_x.square() - offset_y.square()).clamp(0, 1) * (falls < share).to(x.dtype)
            scene = scene + (0.98 - scene) * (0.9 * flake)
        return scene

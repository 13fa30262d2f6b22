"""Weather: fog, rain, snow, frost, stains and the sun in the lens. All are drawn by formula, there are no pictures.

Sizes are shares of the image's shorter side, so that a range means the same at every resolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.hashing import member_seeds, normal_field
from art_domainrand.randomization.core.distributions import (
    Distribution,
    Range,
    Uniform,
    require_support,
)
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.clouds import cloud, standardized
from art_domainrand.randomization.numerics.convolution import convolve, gaussian_kernel
from art_domainrand.randomization.numerics.elementary import standard_normal_icdf
from art_domainrand.randomization.numerics.frost import frosted_pane
from art_domainrand.randomization.numerics.luma import snow_light, tint
from art_domainrand.randomization.numerics.particles import (
    Tiling,
    draw_flakes,
    draw_streaks,
    in_blocks,
    rain_tiling,
    snow_tiling,
    veiled,
)

SMALLEST = 1.5
"""The smallest width of a drop or a flake in pixels: what is thinner falls between the pixels."""

RAIN = (0.82, 0.86, 0.90)
SPATTER_WATER = (0.80, 0.95, 0.95)
SPATTER_MUD = (0.25, 0.16, 0.08)


@dataclass(frozen=True)
class Fog(PixelTransform):
    """Drifting fog: ``air + (x - air) t`` with the transmission t = exp(-depth), Koschmieder's law.

    :param density: the optical depth on average, >= 0.
    :param patchiness: by which share, in [0, 1], the depth varies with a fractal cloud.
    :param smoothness: how the cloud's detail falls, >= 1: 1.3 is ragged, 3 one soft bank.
    :param air: the grey of the fog, in units of [0, 1].
    :raises ValueError: for values outside these bounds.
    """

    density: Range = Uniform(0.3, 1.5)
    patchiness: Range = Uniform(0.2, 0.9)
    smoothness: Range = Uniform(1.4, 2.5)
    air: Range = Uniform(0.7, 0.95)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {
        "density": "optical depth",
        "patchiness": "share",
        "smoothness": "factor",
        "air": "intensity",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("density", self.density, low=0)
        require_support("patchiness", self.patchiness, low=0, high=1)
        require_support("smoothness", self.smoothness, low=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        haze = cloud(values["seed"], x.shape[2], x.shape[3], values["smoothness"])
        depth = _plane(values["density"]) * (1 + _plane(values["patchiness"]) * (2 * haze - 1))
        air = _plane(values["air"])
        return air + (x - air) * torch.exp(-depth)


@dataclass(frozen=True)
class Rain(PixelTransform):
    """Streaks of rain near and far before a dimmed scene.

    :param amount: the share of places with a drop, in [0, 1].
    :param angle: the lean in degrees from straight down.
    :param length: the length of a near streak, >= 0, as a share of the shorter side.
    :param width: the width of a near streak, >= 0, as a share of the shorter side; no streak is thinner than 1.5
        pixels.
    :param opacity: how much of the scene a near drop hides, in [0, 1].
    :param gloom: the share of light that the scene loses, in [0, 1].
    :raises ValueError: for values outside these bounds.
    """

    amount: Range = Uniform(0.15, 0.6)
    angle: Range = Uniform(-25.0, 25.0)
    length: Range = Uniform(0.08, 0.25)
    width: Range = Uniform(0.01, 0.02)
    opacity: Range = Uniform(0.3, 0.7)
    gloom: Range = Uniform(0.0, 0.3)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {
        "amount": "share",
        "angle": "degrees",
        "length": "share of the shorter side",
        "width": "share of the shorter side",
        "opacity": "share",
        "gloom": "share",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("amount", "opacity", "gloom"):
            require_support(name, getattr(self, name), low=0, high=1)
        for name in ("length", "width"):
            require_support(name, getattr(self, name), low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        side = min(x.shape[2:])
        layers: list[Tiling] = []
        for layer, distance in enumerate((2.0, 1.0)):
            width = (values["width"] * (side / distance)).clamp_min(SMALLEST)
            length = (values["length"] * (side / distance)).clamp_min(2 * SMALLEST)
            seeds = member_seeds(values["seed"], layer)
            size = width, length, values["amount"], values["opacity"] / distance
            layers.append(rain_tiling(x, seeds, values["angle"], *size))
        through = in_blocks(_between_drops, x.shape, *layers)
        return veiled(x, _plane(1 - values["gloom"]), through, tint(RAIN, x))


@dataclass(frozen=True)
class Snow(PixelTransform):
    """Flakes of snow at three distances before a scene that snow light whitens.

    :param amount: the share of places with a flake, in [0, 1].
    :param size: the size of the nearest flakes, >= 0, as a share of the shorter side; none is smaller than 3 pixels.
    :param speed: how many times longer than wide their fall makes them, >= 1.
    :param angle: the lean of the fall in degrees from straight down.
    :param whiteness: how far, in [0, 1], the scene moves to 1.5 luma + 0.5, as in the corruption "snow".
    :raises ValueError: for values outside these bounds.
    """

    amount: Range = Uniform(0.1, 0.3)
    size: Range = Uniform(0.02, 0.045)
    speed: Range = Uniform(1.0, 2.0)
    angle: Range = Uniform(-40.0, 40.0)
    whiteness: Range = Uniform(0.0, 0.25)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {
        "amount": "share",
        "size": "share of the shorter side",
        "speed": "factor",
        "angle": "degrees",
        "whiteness": "share",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("amount", "whiteness"):
            require_support(name, getattr(self, name), low=0, high=1)
        require_support("size", self.size, low=0)
        require_support("speed", self.speed, low=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        side = min(x.shape[2:])
        layers: list[Tiling] = []
        for layer, distance in enumerate((4.0, 2.0, 1.0)):
            size = (values["size"] * (side / distance)).clamp_min(2 * SMALLEST)
            seeds = member_seeds(values["seed"], layer)
            layers.append(snow_tiling(x, seeds, values["angle"], size, values["speed"], values["amount"]))
        through = in_blocks(_between_flakes, x.shape, *layers)
        return in_blocks(_snowed_over, x.shape, x, _plane(values["whiteness"]), through)


@dataclass(frozen=True)
class Frost(PixelTransform):
    """Look through a frosted pane: ``keep x + strength pane``.

    The pane is blue-white, of its own brightness for each image, with ice flowers. The constants of the corruption
    "frost" are such ``keep`` and ``strength``.

    :param strength: the factor of the pane, >= 0.
    :param keep: the factor of the image, >= 0.
    :param roughness: the share of fine grain in the ice flowers, in [0, 1].
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.2, 0.6)
    keep: Range = Uniform(0.6, 0.9)
    roughness: Range = Uniform(0.1, 0.6)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"strength": "factor", "keep": "factor", "roughness": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strength", "keep"):
            require_support(name, getattr(self, name), low=0)
        require_support("roughness", self.roughness, low=0, high=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        pane = frosted_pane(x, values["seed"], values["roughness"])
        return x * _plane(values["keep"]) + pane * _plane(values["strength"])


@dataclass(frozen=True)
class Spatter(PixelTransform):
    """Splashes of water or mud on the lens.

    Where smoothed noise exceeds the level that leaves it the share ``amount`` of the image, there is a drop. Water is
    lit from the upper left.

    :param amount: the share of the image behind drops, in [0, 1].
    :param size: the standard deviation of the smoothing, as a share of the shorter side; from 0 to 0.25.
    :param mud: from water, 0, to mud, 1.
    :param opacity: how much of the scene a drop hides, in [0, 1].
    :raises ValueError: for values outside these bounds.
    """

    amount: Range = Uniform(0.03, 0.2)
    size: Range = Uniform(0.008, 0.03)
    mud: Range = Uniform(0.0, 1.0)
    opacity: Range = Uniform(0.5, 0.95)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {
        "amount": "share",
        "size": "share of the shorter side",
        "mud": "share",
        "opacity": "share",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("amount", "mud", "opacity"):
            require_support(name, getattr(self, name), low=0, high=1)
        require_support("size", self.size, low=0, high=0.25)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        side = min(height, width)
        assert isinstance(self.size, Distribution)
        radius = math.ceil(3 * self.size.support[1] * side)
        noise = normal_field(values["seed"], height * width, x.dtype).view(len(x), 1, height, width)
        across, down = (gaussian_kernel(values["size"] * side, min(radius, size - 1)) for size in (width, height))
        level = standard_normal_icdf(1 - values["amount"])
        drops = (2 * (standardized(convolve(noise, across, down)) - _plane(level))).clamp(0, 1)
        mud = _plane(values["mud"])
        water, brown = tint(SPATTER_WATER, x), tint(SPATTER_MUD, x)
        shine = (drops - drops.roll((1, 1), (2, 3))) * (0.5 * (1 - mud))
        return x + (water + (brown - water) * mud - x) * (drops * _plane(values["opacity"])) + shine


def _between_drops(*layers: Tiling) -> Tensor:
    """How much of the scene is seen between the drops, (B, 1, H, W)."""
    return math.prod((1 - draw_streaks(tiling) for tiling in layers[1:]), start=1 - draw_streaks(layers[0]))


def _between_flakes(*layers: Tiling) -> Tensor:
    """How much of the scene is seen between the flakes, (B, 1, H, W)."""
    return math.prod((1 - draw_flakes(tiling) for tiling in layers[1:]), start=1 - draw_flakes(layers[0]))


def _snowed_over(x: Tensor, whiteness: Tensor, through: Tensor) -> Tensor:
    white = torch.ones((), dtype=x.dtype, device=x.device)
    return torch.lerp(white, torch.lerp(x, snow_light(x), whiteness), through)


def _plane(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)

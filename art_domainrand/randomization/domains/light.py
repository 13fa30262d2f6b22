"""Domains of light and exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.domains.domain import Domain, faded
from art_domainrand.randomization.domains.parts import across, branch, clouds, deepen, down, glow, grain, pixels, soften
from art_domainrand.randomization.numerics.luma import grey, tint
from art_domainrand.randomization.numerics.matrices import constant


@dataclass(frozen=True)
class Night(Domain):
    """Moonlight: dark, blue and nearly without colour ("day for night"), with a little sensor noise.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        edge = (down(x) - 0.5).square() + (across(x) - 0.5).square()
        light = tint((0.24, 0.33, 0.58), x) * (1 - 0.7 * edge)
        lamps = 0.35 * deepen(x, 1.0).square()
        return light * deepen(faded(x, 0.35), 0.75) + lamps * light + 0.015 * grain(x, values["seed"])


@dataclass(frozen=True)
class Dusk(Domain):
    """The sun is down: a violet sky above, an orange band in the middle, darkness below.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        height = down(x)
        band = (-(((height - 0.45) / 0.22).square())).exp()
        light = tint((0.48, 0.38, 0.66), x) * (1 - height) + tint((0.34, 0.24, 0.36), x) * height
        sky = tint((0.30, 0.11, 0.03), x) * band
        return deepen(faded(x, 0.7), 0.3) * (light + tint((0.62, 0.26, 0.0), x) * band) + 0.35 * sky


@dataclass(frozen=True)
class Overexposed(Domain):
    """Twice and more the light: highlights burn out and bleed into their surroundings. Unclipped values exceed 1.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        return 2.0 * x + 0.08 + 0.5 * glow(x, pixels(0.04, x))


@dataclass(frozen=True)
class LowLightSensor(Domain):
    """A dim scene at high ISO: little light, heavy shot and read noise, a raised black level, uneven columns.

    The noise has the variance a + b signal of a sensor (Foi et al., IEEE TIP 2008); a normal stands for the Poisson.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        signal = 0.38 * deepen(faded(x, 0.6), 0.5)
        spread = (0.025 * signal.clamp_min(0) + 0.002).sqrt()
        columns = grain(x[:, :, :1], branch(values["seed"], 0))
        return signal + tint((0.06, 0.045, 0.06), x) + spread * grain(x, values["seed"]) + 0.012 * columns


@dataclass(frozen=True)
class NearInfrared(Domain):
    """An infrared photograph: one grey channel in which leaves glow and the sky is dark, with halation and grain.

    RGB holds no infrared. A channel mixer stands in for it, which adds green and takes blue away; and leaves, told by
    their excess of green (Woebbecke et al. 1995, 2g - r - b of the shares g, r, b), are bright, as they reflect several
    times as much infrared as green light.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        if x.shape[1] == 3:
            mixed = (x * constant(((0.35, 1.4, -0.85),), x.dtype, x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
            infrared = torch.lerp(mixed, 1 - (-6 * x[:, 1:2].clamp_min(0)).exp(), self._leaves(x))
        else:
            infrared = grey(x)
        bright = infrared * (1.15 - 0.15 * infrared)
        return 0.85 * bright + 0.25 * glow(bright, pixels(0.03, x)) + 0.012 * grain(bright, values["seed"])

    @staticmethod
    def _leaves(x: Tensor) -> Tensor:
        """Where leaves are, from 0 to 1, (B, 1, H, W)."""
        smooth = soften(x, pixels(0.02, x, 0)).clamp_min(0)
        red, green, blue = (smooth[:, k : k + 1] for k in range(3))
        excess = (2 * green - red - blue) / (red + green + blue + 0.05)  # of black there are no shares
        return 0.5 + 0.5 * torch.tanh((excess - 0.05) / 0.02)  # dull leaves have 0.07, water and walls below 0.03


@dataclass(frozen=True)
class Underwater(Domain):
    """Below the surface: red is swallowed first, a blue-green veil grows with depth, and light ripples from above.

    The image formation of Jaffe (1990) and McGlamery (1980), x exp(-beta d) + veil (1 - exp(-beta' d)), with the
    attenuation of clear coastal water falling from red to blue.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        depth = 0.7 + 0.6 * down(x)
        direct = (-tint((1.9, 0.55, 0.4), x) * depth).exp()
        haze = 1 - (-1.1 * depth).exp()
        ripple = clouds(x, values["seed"], 5, 2)
        shimmer = 1 + 0.5 * (1 - down(x)) * ((1 - (2 * ripple - 1).abs()).square() - 0.5)
        blurred = soften(x, pixels(0.004, x, 0))
        return blurred * direct * shimmer + tint((0.02, 0.36, 0.46), x) * haze * (1.15 - 0.45 * down(x))

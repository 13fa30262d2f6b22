"""Domains of weather."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.domains.domain import Domain, faded
from art_domainrand.randomization.domains.parts import branch, clouds, down, leaning, pixels, soften
from art_domainrand.randomization.numerics.luma import tint
from art_domainrand.randomization.numerics.particles import flakes, streaks


@dataclass(frozen=True)
class Foggy(Domain):
    """Fog that thickens towards the top, where things are usually further away, and drifts in patches.

    x t + airlight (1 - t) with the transmission t (Koschmieder's law), on the average about 0.2 at the top and 0.6 at
    the bottom of the full map, so that the scene can still be made out.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        depth = 0.5 + 1.1 * (1 - down(x)) + 0.8 * (clouds(x, values["seed"], 3) - 0.5)
        through = (-depth).exp()
        air = tint((0.86, 0.88, 0.90), x)
        return air + (x - air) * through


@dataclass(frozen=True)
class Rainy(Domain):
    """Rain: leaning streaks at two distances before a dull, hazy and slightly blurred scene.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        scene = tint((0.66, 0.70, 0.76), x) * faded(soften(x, pixels(0.003, x, 0)), 0.55)
        scene = scene + 0.18 * tint((0.62, 0.66, 0.72), x)
        lean = leaning(values["seed"], 18.0, x)
        for layer, (width, length, amount, light) in enumerate(((0.012, 0.12, 0.5, 0.4), (0.02, 0.25, 0.4, 0.6))):
            across, along = (torch.full_like(lean, pixels(*size)) for size in ((width, x, 2), (length, x, 4)))
            drops = streaks(x, branch(values["seed"], layer), lean, across, along, torch.full_like(lean, amount))
            scene = scene + (0.92 - scene) * (light * drops)
        return scene


@dataclass(frozen=True)
class Snowy(Domain):
    """Falling snow: flakes near and far before a pale, cold scene.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        scene = 0.62 * faded(x, 0.5) + tint((0.25, 0.27, 0.30), x)
        lean = leaning(values["seed"], 30.0, x)
        for layer, (size, amount) in enumerate(((0.018, 0.3), (0.04, 0.25), (0.09, 0.15))):
            width = torch.full_like(lean, pixels(size, x, 3))
            speed, share = torch.full_like(lean, 1.3), torch.full_like(lean, amount)
            scene = scene + (0.98 - scene) * (0.9 * flakes(x, branch(values["seed"], layer), lean, width, speed, share))
        return scene

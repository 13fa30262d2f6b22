"""Random curves of colour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.hashing import normal_field
from art_domainrand.core.straight_through import held_to_unit
from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.matrices import Rows, constant, multiply

STEPS = 4 * 255
"""The curve is given at so many steps of [0, 1], all levels of 8 bits among them, and is straight in between."""


@dataclass(frozen=True)
class ColorCurve(PixelTransform):
    """Add a random sum of sine waves of its own value to every channel: v + sum over k of c_k sin(k pi v), clipped.

    The coefficients c_k are normal with the standard deviation sqrt(``strength``), one curve for each channel of each
    image; black and white stay (the colour change of PRIME).

    :param strength: the variance of a coefficient, >= 0.
    :param waves: how many waves are added, from 1 to 1000; the last one fades in, where PRIME draws an int.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.0, 0.01)
    waves: Range = Uniform(1.0, 100.0)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"strength": "variance", "waves": "waves"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0)
        require_support("waves", self.waves, low=1, high=1000)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        batch, channels = x.shape[:2]
        count = max(2, math.ceil(self.parameters["waves"].support[1]))
        number = constant((tuple(map(float, range(count))),), x.dtype, x.device)
        # The root's slope at zero is infinite, and what it is a factor of is far below a level of 8 bits by then.
        root = values["strength"].clamp_min(1e-12).sqrt() * (values["strength"] > 0)
        size = root[:, None] * (values["waves"][:, None] - number).clamp(0, 1)
        normal = normal_field(values["seed"], channels * count, x.dtype).view(batch, channels, count)
        waves = constant(_waves(count), x.dtype, x.device)[None].expand(batch, -1, -1)
        # Odd waves are the same from the other end, and even ones their own negatives: half of the steps will do.
        odd, even = (multiply((normal * size[:, None])[:, :, k::2], waves[:, k::2]) for k in (0, 1))
        curve = torch.cat((odd + even, (odd - even)[:, :, :-1].flip(2)), 2)
        return held_to_unit(x + read_curve(curve, x))


def read_curve(curve: Tensor, x: Tensor) -> Tensor:
    """A ``curve`` (B, C, n) given at n even steps of [0, 1], at the values ``x`` (B, C, H, W); beyond, its ends."""
    place = x.flatten(2).clamp(0, 1) * (curve.shape[2] - 1)
    before = place.detach().floor().clamp_max(curve.shape[2] - 2)
    index = before.long()
    low, high = curve.gather(2, index), curve.gather(2, index + 1)
    return torch.lerp(low, high, place - before).view(x.shape)


@lru_cache(maxsize=16)
def _waves(count: int) -> Rows:
    """sin(k pi v) for k from 1 to ``count`` at the lower half of the steps v: (count, STEPS / 2 + 1)."""
    waves = np.sin(np.pi * np.arange(1, count + 1)[:, None] * np.linspace(0.0, 0.5, STEPS // 2 + 1))
    return tuple(map(tuple, waves.tolist()))

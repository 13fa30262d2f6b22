"""Smooth random displacements of a given temperature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import normal_field
from art_domainrand.randomization.core.beta import Beta
from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.matrices import Rows, constant
from art_domainrand.randomization.numerics.positions import Sampling, pixel_lattice
from art_domainrand.randomization.numerics.splines import over_image
from art_domainrand.randomization.numerics.warp import resample

FEWEST = 2
"""The smallest number of modes."""

_TO_THE_ENDS = Beta(0.0, 1.0, 0.5, 0.5)


@dataclass(frozen=True)
class Diffeomorphism(PixelTransform):
    """Bend the image by a random sum of sine waves that leaves its border in place.

    The displacement in x, and another one in y, is n sqrt(T) sum over i, j of C_ij sin(i pi x) sin(j pi y), with x and
    y from 0 to 1 over the image of n pixels, C_ij normal with the standard deviation 1 / sqrt(i^2 + j^2), and waves up
    to sqrt(i^2 + j^2) < c + 1/2 (Petrini et al., "Relative stability toward diffeomorphisms", NeurIPS 2021; the
    spatial change of PRIME). A pixel is typically displaced by n sqrt(pi T log c) / 2. The temperature T lies between
    half a pixel of that and the point from which on the image may fold over itself, which a single draw can do already:
    labels other than classes do not follow.

    At the pixels, a wave of more than n - 1 half periods is one of fewer: the normal numbers that come together there
    are drawn as one, of the variance of their sum. PRIME's c is FEWEST + ``cutoff`` (``modes`` + 1 - FEWEST), cut to an
    int; for a slope it is that here in the middle of each step, and in between the image goes over from one int's law
    to the next one's.

    :param temperature: where T lies between these two, in [0, 1].
    :param cutoff: where the cutoff lies between FEWEST and ``modes``, in [0, 1].
    :param modes: how many modes there are at most, >= 2.
    :raises ValueError: for values outside these bounds.
    """

    temperature: Range = _TO_THE_ENDS
    cutoff: Range = _TO_THE_ENDS
    modes: Range = Uniform(3.0, 100.0)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"temperature": "share", "cutoff": "share", "modes": "modes"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("temperature", self.temperature, low=0, high=1)
        require_support("cutoff", self.cutoff, low=0, high=1)
        require_support("modes", self.modes, low=FEWEST, high=1000)

    @property
    def tracked(self) -> bool:
        """False: a field that may fold has no way back."""
        return False

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        right, down = self.displacement(values, height, width).unbind(1)
        lattice = pixel_lattice(height, width, x.dtype, x.device)
        return resample(x, lattice.moved(lattice.x - right, lattice.y - down), Sampling(padding="border"))

    def displacement(self, values: Values, height: int, width: int) -> Tensor:
        """How far right and down each pixel's source is moved, in pixels, (B, 2, height, width).

        :param values: what :meth:`values` made of a draw of B images.
        :param height: the number of rows.
        :param width: the number of columns.
        """
        count = math.ceil(self.parameters["modes"].support[1])
        temperature, modes = values["temperature"], values["modes"]
        middle = FEWEST - 0.5 + values["cutoff"] * (modes + 1 - FEWEST)
        cutoff = torch.minimum(middle.clamp_min(FEWEST), modes)
        low, high = temperatures(cutoff, height * width)
        root = (low + temperature * (high - low)).sqrt().view(-1, 1, 1, 1)
        radius = constant(_radii(count), temperature.dtype, temperature.device)
        variance = kept(cutoff.view(-1, 1, 1), radius) / radius.square()
        variance = folded(folded(variance, width).mT, height).mT
        rows, columns = variance.shape[1:]
        # The slope of a root is infinite at zero, where there is no wave.
        deviation = torch.where(variance > 0, variance.clamp_min(1e-20).sqrt(), 0.0)
        normal = normal_field(values["seed"], 2 * rows * columns, temperature.dtype).view(-1, 2, rows, columns)
        waves = over_image(normal * deviation[:, None] * root, _sines(height, rows), _sines(width, columns))
        size = constant(((float(width),), (float(height),)), temperature.dtype, temperature.device)
        return waves * size[:, :, None]


def kept(cutoff: Tensor, radius: Tensor) -> Tensor:
    """Which share of the variance of the waves of a ``radius`` is left: of an int ``cutoff``, all below it + 1/2.

    Towards the next int the next waves fade in by a quarter of a sine wave, half of their variance on average.
    """
    whole = cutoff.detach().floor()
    entering = torch.sin((cutoff - whole) * (math.pi / 2)).square()
    return torch.where(radius < whole + 0.5, 1.0, torch.where(radius < whole + 1.5, entering, 0.0))


def temperatures(cutoff: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """The temperatures (B,) between which an image of so many ``pixels`` is bent, for a ``cutoff`` (B,) >= 2.

    The lower one displaces pixels by half a pixel, as a rule; with the upper one the field does not yet fold. Both are
    straight lines between the ints: their mean over an interval is that of its ends.
    """
    whole = cutoff.detach().floor()
    (low, high), ends = whole_temperatures(whole, pixels), whole_temperatures(whole + 1, pixels)
    part = cutoff - whole
    return torch.lerp(low, ends[0], part), torch.lerp(high, ends[1], part)


def whole_temperatures(cutoff: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
    """:func:`temperatures` by the formula of Petrini et al., which they give for an int ``cutoff``."""
    log = cutoff.log()
    low = 1 / (math.pi * pixels * log)
    high = 4 / (math.pi**3 * cutoff.square() * log)
    return low, torch.maximum(low, high)


def folded(waves: Tensor, size: int) -> Tensor:
    """What belongs to the sine of k half periods, k from 1 on in the last axis, given to the k below ``size`` - 1.

    At ``size`` points evenly spaced over the interval, the sines of k, of 2 (size - 1) - k and of these plus multiples
    of 2 (size - 1) are the same but for their sign, and that of size - 1 is zero.
    """
    inner, period, count = max(size - 2, 1), max(2 * (size - 1), 2), waves.shape[-1]
    if count <= inner:
        return waves
    waves = functional.pad(waves, (0, -count % period))
    total = torch.zeros_like(waves[..., :inner])
    if size > 2:
        for start in range(0, count, period):
            total = total + waves[..., start : start + inner]
            total = total + waves[..., start + inner + 1 : start + 2 * inner + 1].flip(-1)
    return total


@lru_cache(maxsize=16)
def _radii(count: int) -> Rows:
    """sqrt(i^2 + j^2) for i and j from 1 to ``count``."""
    numbers = np.arange(1, count + 1)
    return tuple(map(tuple, np.hypot(numbers[:, None], numbers).tolist()))


@lru_cache(maxsize=64)
def _sines(size: int, count: int) -> Rows:
    """sin(k pi x) for k from 1 to ``count`` at ``size`` points x evenly spaced from 0 to 1: (size, count)."""
    place = np.linspace(0.0, 1.0, size)
    waves = np.sin(np.pi * place[:, None] * np.arange(1, count + 1))
    waves[place == 1.0] = 0.0  # where the sine of k pi is rounded
    return tuple(map(tuple, waves.tolist()))

"""The operations that policies of augmentation choose from, each at a given strength.

They are those of AutoAugment (Cubuk et al., CVPR 2019) as PIL computes them: a shear holds the upper left corner, what
comes from beyond the image is black, and "brightness", "color", "contrast" and "sharpness" blend with a black, a grey,
a flat and a smooth image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from art_domainrand.randomization.core.distributions import Choice, Distribution, Uniform
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.transforms.color import Brightness, Contrast, Saturation
from art_domainrand.randomization.transforms.geometry import PixelShift, Rotation, Shear, Translation
from art_domainrand.randomization.transforms.tone import AutoContrast, Equalize, Posterize, Sharpness, Solarize


def identity() -> Transform:
    """What leaves images as they are."""
    return Brightness(0.0)


def shear_x(slope: Distribution, mode: str) -> Transform:
    """Slant the rows.

    :param slope: how many pixels per row.
    :param mode: how pixels are read, "bilinear" or "nearest".
    """
    return Shear(_degrees(slope), 0.0, mode=mode, corner=True)


def shear_y(slope: Distribution, mode: str) -> Transform:
    """Slant the columns.

    :param slope: how many pixels per column.
    :param mode: how pixels are read, "bilinear" or "nearest".
    """
    return Shear(0.0, _degrees(slope), mode=mode, corner=True)


def translations(share: Distribution, mode: str) -> list[Transform]:
    """Shift by a share of the image's size, along the rows and along the columns.

    :param share: how far.
    :param mode: how pixels are read, "bilinear" or "nearest".
    """
    return [Translation(share, 0.0, mode=mode), Translation(0.0, share, mode=mode)]


def pixel_shifts(pixels: Distribution, mode: str) -> list[Transform]:
    """Shift by so many pixels, along the rows and along the columns.

    :param pixels: how far.
    :param mode: how pixels are read, "bilinear" or "nearest".
    """
    return [PixelShift(pixels, 0.0, mode=mode), PixelShift(0.0, pixels, mode=mode)]


def wide_operations(
    signed: Callable[[float], Distribution],
    shifts: list[Transform],
    slope: float,
    angle: float,
    blend: float,
    bits: Distribution,
    threshold: Distribution,
    mode: str,
) -> list[Transform]:
    """The 14 operations of RandAugment and TrivialAugment, in their papers' order.

    :param signed: the distribution of a strength of which this is the largest, on either side of zero.
    :param shifts: the two translations.
    :param slope: the largest slope of a shear.
    :param angle: the largest angle of a rotation, in degrees.
    :param blend: how far a factor of brightness, colour, contrast or sharpness is from one at most.
    :param bits: how many bits are kept of 8.
    :param threshold: from which value on values are inverted.
    :param mode: how pixels are read, "bilinear" or "nearest".
    """
    factor = _moved(signed(blend), 1.0)
    return [
        identity(),
        shear_x(signed(slope), mode),
        shear_y(signed(slope), mode),
        *shifts,
        Rotation(signed(angle), mode=mode),
        Contrast(factor, pivot=0.0),  # PIL's brightness
        Saturation(factor),
        Contrast(factor),
        Sharpness(factor),
        Posterize(bits),
        Solarize(threshold),
        AutoContrast(1.0),
        Equalize(1.0),
    ]


def either_way(values: Iterable[float]) -> Choice:
    """Each of ``values``, or its negative.

    :param values: the values, which are evenly likely.
    """
    found = tuple(values)
    return Choice((*found, *(-value for value in found)))


def steps(first: float, last: float, count: int) -> list[float]:
    """``count`` values evenly spaced from ``first`` to ``last``.

    :param first: the first of them.
    :param last: the last of them.
    :param count: how many, >= 2.
    """
    return [first + (last - first) * k / (count - 1) for k in range(count)]


def _degrees(slope: Distribution) -> Distribution:
    """The angles of slopes."""
    if isinstance(slope, Choice):
        return Choice(tuple(math.degrees(math.atan(value)) for value in slope.values), slope.weights)
    low, high = slope.support
    return Uniform(math.degrees(math.atan(low)), math.degrees(math.atan(high)))


def _moved(distribution: Distribution, shift: float) -> Distribution:
    """Of what a choice or a range yields, ``shift`` more."""
    if isinstance(distribution, Choice):
        return Choice(tuple(value + shift for value in distribution.values), distribution.weights)
    low, high = distribution.support
    return Uniform(low + shift, high + shift)

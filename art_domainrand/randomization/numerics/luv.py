"""The colours of CIE 1976 L*u*v*, in which equal distances look about equal, with slopes that are finite on black."""

from __future__ import annotations

import torch
from torch import Tensor

from art_domainrand.randomization.numerics.jpeg import mix_channels

# sRGB's primaries and white of D65 in XYZ, and back (IEC 61966-2-1).
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
FROM_XYZ = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
WHITE_UV = (0.1978, 0.4683)
"""The chromaticity u', v' of D65."""

# Below these sRGB's curve, and L*, are straight lines.
CURVED, CURVED_LIGHT, CURVED_Y = 0.04045, 0.0031308, (6 / 29) ** 3
STEEPNESS = (29 / 3) ** 3

# L* is not below this where it divides, and v' neither: without it dark colours would have slopes without bound.
DARKEST, LEAST_V = 0.05, 1e-3
MOST_XYZ = 1.1
"""What lies beyond is no colour of a screen."""


def to_luv(x: Tensor) -> Tensor:
    """L*, u*, v* of colours (B, 3, ...) in [0, 1], in shares of their ranges: of L* by 100, of u* and v* by 200.

    :param x: sRGB.
    """
    straight = x.clamp(0, 1)
    curve = power((straight.clamp_min(CURVED) + 0.055) / 1.055, 2.4)
    light = torch.where(straight < CURVED, straight / 12.92, curve)
    far, y, near = mix_channels(light, TO_XYZ).unbind(1)
    whole = far + 15 * y + 3 * near + 1e-10
    lightness = torch.where(y < CURVED_Y, STEEPNESS * y, 116 * power(y.clamp_min(CURVED_Y), 1 / 3) - 16)
    u = 13 * lightness * (4 * far / whole - WHITE_UV[0])
    v = 13 * lightness * (9 * y / whole - WHITE_UV[1])
    return torch.stack([lightness / 100, (u + 100) / 200, (v + 100) / 200], 1)


def from_luv(luv: Tensor) -> Tensor:
    """The colours (B, 3, ...) that :func:`to_luv` made; what no screen shows lies outside [0, 1].

    :param luv: lightness and the two chromaticities, in shares of their ranges.
    """
    lightness, u, v = (100 * luv[:, 0]).clamp_min(0), 200 * luv[:, 1] - 100, 200 * luv[:, 2] - 100
    divisor = 13 * lightness.clamp_min(DARKEST)
    u, v = u / divisor + WHITE_UV[0], (v / divisor + WHITE_UV[1]).clamp_min(LEAST_V)
    above = ((lightness.clamp_min(8) + 16) / 116) ** 3
    y = torch.where(lightness < 8, lightness / STEEPNESS, above)
    xyz = torch.stack([y * 9 * u / (4 * v), y, y * (12 - 3 * u - 20 * v) / (4 * v)], 1).clamp(0, MOST_XYZ)
    light = mix_channels(xyz, FROM_XYZ)
    curve = 1.055 * power(light.clamp_min(CURVED_LIGHT), 1 / 2.4) - 0.055
    return torch.where(light < CURVED_LIGHT, 12.92 * light, curve)


def power(x: Tensor, exponent: float) -> Tensor:
    """A power of numbers > 0. A logarithm and an exponential: torch's power rounds the end of a row otherwise."""
    return torch.exp(torch.log(x) * exponent)

"""Domains in which every pixel's new colour depends on its old one alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from kornia.color import sepia_from_rgb
from torch import Tensor

from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.domains.domain import Domain
from art_domainrand.randomization.numerics.luma import grey, negative, tint

SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
"""The sepia matrix of the W3C's Filter Effects Module, section "sepia"."""

# From cold to hot, evenly spaced: the order of colours of thermographic cameras, often called "ironbow".
HEAT = (
    (0.00, 0.00, 0.08),
    (0.14, 0.00, 0.42),
    (0.46, 0.00, 0.62),
    (0.76, 0.10, 0.52),
    (0.93, 0.33, 0.16),
    (1.00, 0.60, 0.00),
    (1.00, 0.84, 0.18),
    (1.00, 1.00, 0.88),
)


@dataclass(frozen=True)
class Thermal(Domain):
    """A thermographic camera: brightness, read as heat, in false colours from black over violet and orange to white.

    Depends on the grey value alone, smoothly: a uniform cubic B-spline through the palette. Other than RGB images get
    the brightness of the colours.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        heat = grey(x).clamp(0, 1) * (len(HEAT) - 1)
        total = torch.zeros_like(x)
        last = len(HEAT) - 1
        for knot in range(-1, len(HEAT) + 1):
            # The spline starts and ends at the outermost colours if these are mirrored beyond the ends.
            inner = min(max(knot, 0), last)
            mirrored = knot if knot == inner else (-knot if knot < 0 else 2 * last - knot)
            colour = tuple(2 * a - b if knot != inner else a for a, b in zip(HEAT[inner], HEAT[mirrored], strict=True))
            total = total + _bump(heat - knot) * tint(colour, x)  # type: ignore[arg-type]
        return total


def _bump(distance: Tensor) -> Tensor:
    """The uniform cubic B-spline, which spans two knots either way."""
    away = distance.abs()
    wide, narrow = (2 - away).clamp_min(0), (1 - away).clamp_min(0)
    return (wide * wide * wide - 4 * (narrow * narrow * narrow)) / 6


@dataclass(frozen=True)
class Grey(Domain):
    """Black and white: all channels equal the grey value.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        return grey(x)


@dataclass(frozen=True)
class Negative(Domain):
    """The photographic negative, 1 - x.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        return negative(x)


@dataclass(frozen=True)
class Sepia(Domain):
    """An old brown photograph (W3C Filter Effects); other than RGB images get its brightness.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        if x.shape[1] != 3:
            row_sums = tuple(sum(row) for row in SEPIA)
            return grey(x) * tint(row_sums, x)  # type: ignore[arg-type]
        toned: Tensor = sepia_from_rgb(x, rescale=False)
        return toned

"""Occlusion: something lies in front of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.coverage import cover_rectangle, covered


@dataclass(frozen=True)
class Occlusion(PixelTransform):
    """Cover a rectangle with one grey value.

    A pixel is covered by the share of its area behind the rectangle, so that there is a gradient to size and position.

    :param width: the rectangle's, as a share of the image's, in [0, 1].
    :param height: the rectangle's, as a share of the image's, in [0, 1].
    :param x: where it lies, from the left border, 0, to the right one, 1.
    :param y: the same from the top, 0, to the bottom, 1.
    :param fill: the grey value, in units of [0, 1].
    :raises ValueError: for values outside these bounds.
    """

    width: Range = Uniform(0.1, 0.4)
    height: Range = Uniform(0.1, 0.4)
    x: Range = Uniform(0.0, 1.0)
    y: Range = Uniform(0.0, 1.0)
    fill: Range = Uniform(0.0, 1.0)
    units: ClassVar[Mapping[str, str]] = {
        "width": "share",
        "height": "share",
        "x": "share",
        "y": "share",
        "fill": "intensity",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "height", "x", "y"):
            require_support(name, getattr(self, name), low=0, high=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        columns = covered(values["x"], values["width"], x.shape[3])[:, None, None, :]
        rows = covered(values["y"], values["height"], x.shape[2])[:, None, :, None]
        return cover_rectangle(x, rows, columns, values["fill"].view(-1, 1, 1, 1))

"""Occlusion: something lies in front of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values


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


def cover_rectangle(x: Tensor, rows: Tensor, columns: Tensor, fill: Tensor | float) -> Tensor:
    """Put ``fill``, (B, 1, 1, 1) or a number, in front of ``x`` as :func:`cover` does, by the mask ``rows * columns``.

    ``rows`` is (B, 1, H, 1) and ``columns`` (B, 1, 1, W); they take the sign and the fill before they are multiplied.
    """
    kept = (rows * -columns).add_(1)
    return (x * kept).add_(rows * (columns * fill))


def cover(x: Tensor, mask: Tensor, fill: Tensor | float) -> Tensor:
    """Put ``fill`` in front of ``x`` (B, C, H, W) where ``mask`` (B, 1, H, W) is 1, in part where it is less.

    As x (1 - mask) + fill mask: where mask and fill are those of all channels, only two passes over the image.
    """
    return (x * (1 - mask)).add_(mask * fill)


def covered(position: Tensor, share: Tensor, size: int) -> Tensor:
    """How much of each of ``size`` pixels an interval covers, (B, size).

    The interval is ``share`` of the axis long and starts at ``position`` of what is left; pixel i spans [i, i + 1].
    """
    length = share * size
    start = position * (size - length)
    pixels = torch.arange(size, dtype=share.dtype, device=share.device)
    begins, ends = start[:, None], (start + length)[:, None]
    overlap = torch.minimum(pixels + 1, ends) - torch.maximum(pixels, begins)
    return overlap.clamp_min(0)

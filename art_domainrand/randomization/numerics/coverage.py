"""Rectangles in front of the image, whose edges cover pixels by their share."""

from __future__ import annotations

import torch
from torch import Tensor


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

"""Small matrices, one per image, in arithmetic whose bits do not depend on the batch size.

Products of 3x3 and colour matrices are written out elementwise: a batched matrix product may take another kernel (or
TF32) at another batch size, and the solvers of ``torch.linalg`` wait for the device.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def stack_matrix(rows: list[list[Tensor]]) -> Tensor:
    """Stack entries, each (B,), to a (B, len(rows), len(rows[0])) matrix."""
    flat = torch.stack([entry for row in rows for entry in row], dim=-1)
    return flat.view(-1, len(rows), len(rows[0]))


def identity_like(matrix: Tensor) -> Tensor:
    """The matrix that changes nothing: (3, 3) for geometry, [I | 0] of (C, C + 1) for colour."""
    return torch.eye(matrix.shape[1], matrix.shape[2], dtype=matrix.dtype, device=matrix.device)


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` for (B, n, k) and (B, k, m), written as k outer products."""
    total: Tensor = left[:, :, :1] * right[:, :1]
    for k in range(1, right.shape[1]):
        total = total + left[:, :, k : k + 1] * right[:, k : k + 1]
    return total


def compose_color(outer: Tensor, inner: Tensor) -> Tensor:
    """The colour matrix that applies ``inner`` first and ``outer`` second, both (B, C, C + 1)."""
    channels = inner.shape[1]
    product = multiply(outer[:, :, :channels], inner)
    return torch.cat((product[:, :, :channels], product[:, :, channels:] + outer[:, :, channels:]), dim=2)


def transform_mean(matrix: Tensor, mean: Tensor) -> Tensor:
    """The (B, C) channel mean after the colour ``matrix`` (B, C, C + 1)."""
    channels = mean.shape[1]
    moved: Tensor = multiply(matrix[:, :, :channels], mean[:, :, None]) + matrix[:, :, channels:]
    return moved[:, :, 0]


def inverse3x3(matrix: Tensor) -> Tensor:
    """Invert (B, 3, 3) by the adjugate: row i of the cofactors is the cross product of the other two rows."""
    cofactors = torch.linalg.cross(matrix.roll(-1, 1), matrix.roll(-2, 1), dim=2)
    terms = matrix[:, 0] * cofactors[:, 0]
    determinant = terms[:, 0] + terms[:, 1] + terms[:, 2]
    return cofactors.transpose(1, 2) / determinant[:, None, None]


def channel_mean(x: Tensor) -> Tensor:
    """The mean over the pixels of ``x`` (B, C, H, W) as (B, C).

    The rows are summed first, the row of column sums by folding it in half: the order of the additions depends on the
    image alone, where one reduction over both axes would be split differently for a single image.
    """
    total = x.sum(dim=2)
    while total.shape[2] > 1:
        half, odd = divmod(total.shape[2], 2)
        folded = total[:, :, :half] + total[:, :, half : 2 * half]
        total = torch.cat((folded, total[:, :, -1:]), dim=2) if odd else folded
    return total[:, :, 0] / (x.shape[2] * x.shape[3])


def apply_color(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a colour ``matrix`` (B, C, C + 1) to ``x`` (B, C, H, W), once over the image, keeping its memory format."""
    batch, channels, height, width = x.shape
    gains, offset = matrix[:, :, :channels], matrix[:, :, channels:]
    if is_channels_last(x):
        pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        mixed = torch.baddbmm(offset.transpose(1, 2), pixels, gains.transpose(1, 2))
        return mixed.view(batch, height, width, channels).permute(0, 3, 1, 2)
    return torch.baddbmm(offset, gains, x.flatten(2)).view(batch, channels, height, width)


def is_channels_last(x: Tensor) -> bool:
    """Whether ``x`` (B, C, H, W) is stored with its channels innermost, and only so."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


@lru_cache(maxsize=256)
def constant(rows: tuple[tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A small constant matrix on ``device``, copied there once."""
    with torch.inference_mode(False):
        return torch.tensor(rows, dtype=dtype, device=device)

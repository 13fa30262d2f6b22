"""Small matrices, one per image, in arithmetic whose bits do not depend on the batch size.

Products of 3x3 and colour matrices are written out elementwise: a batched matrix product may take another kernel (or
TF32) at another batch size, and the solvers of ``torch.linalg`` wait for the device.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

Rows: TypeAlias = tuple[tuple[float, ...], ...]
"""A constant matrix, row by row."""


def stack_matrix(rows: list[list[Tensor]]) -> Tensor:
    """Stack entries, each (B,), to a (B, len(rows), len(rows[0])) matrix."""
    flat = torch.stack([entry for row in rows for entry in row], dim=-1)
    return flat.view(-1, len(rows), len(rows[0]))


def identity_like(matrix: Tensor) -> Tensor:
    """The matrix that changes nothing: I for geometry, [I | 0] for colour."""
    return torch.eye(matrix.shape[1], matrix.shape[2], dtype=matrix.dtype, device=matrix.device)


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` for small matrices (B, n, k) and (B, k, m).

    On the CPU ``bmm`` runs one plain loop for matrices of this size. Elsewhere it is written as k outer products.
    """
    return torch.bmm(left, right) if left.device.type == "cpu" else sum_of_outer_products(left, right)


def sum_of_outer_products(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` for (B, n, k) and (B, k, m), elementwise and in the order of k."""
    total: Tensor = left[:, :, :1] * right[:, :1]
    for k in range(1, right.shape[1]):
        total = total + left[:, :, k : k + 1] * right[:, k : k + 1]
    return total


def combine(parts: list[tuple[Tensor, Rows]]) -> Tensor:
    """Sum up ``factor * pattern``: (B,) factors, constant patterns (n, m), to (B, n, m)."""
    (factor, rows), *rest = parts
    total: Tensor = factor[:, None, None] * constant(rows, factor.dtype, factor.device)
    for factor, rows in rest:
        total = total + factor[:, None, None] * constant(rows, factor.dtype, factor.device)
    return total


def compose_color(outer: Tensor, inner: Tensor) -> Tensor:
    """The colour matrix that applies ``inner`` first and ``outer`` second.

    Both are (B, C, C + 1), [gains | offset], or (B, C, 2 C + 1) with the gains of the image's channel means after them.
    With x' = A x + b + K m, and so m' = (A + K) m + b, the second gives
    A' x' + b' + K' m' = A'A x + (A'b + b' + K'b) + (A'K + K'(A + K)) m.
    """
    channels = inner.shape[1]
    product = multiply(outer[:, :, :channels], inner)
    offset = product[:, :, channels : channels + 1] + outer[:, :, channels : channels + 1]
    means = product[:, :, channels + 1 :]
    if outer.shape[2] > channels + 1:
        gains = inner[:, :, :channels]
        if means.shape[2]:
            gains = gains + inner[:, :, channels + 1 :]
        added = multiply(outer[:, :, channels + 1 :], torch.cat((gains, inner[:, :, channels : channels + 1]), dim=2))
        offset = offset + added[:, :, channels:]
        means = means + added[:, :, :channels] if means.shape[2] else added[:, :, :channels]
    return torch.cat((product[:, :, :channels], offset, means), dim=2)


def inverse3x3(matrix: Tensor) -> Tensor:
    """Invert (B, 3, 3) by the adjugate: row i of the cofactors is the cross product of the other two rows."""
    cofactors = torch.linalg.cross(matrix.roll(-1, 1), matrix.roll(-2, 1), dim=2)
    terms = matrix[:, 0] * cofactors[:, 0]
    determinant = terms[:, 0] + terms[:, 1] + terms[:, 2]
    inverse: Tensor = cofactors.transpose(1, 2) / determinant[:, None, None]
    return inverse


def channel_mean(x: Tensor) -> Tensor:
    """The (B, C) mean over the pixels of ``x`` (B, C, H, W), added up in an order that the image alone decides."""
    mean: Tensor = _ChannelMean.apply(x)  # type: ignore[no-untyped-call]
    return mean


class _ChannelMean(torch.autograd.Function):
    """Columns first, then the row of column sums folded in half again and again.

    One reduction over both axes would be split differently for a single image; the gradient is only a broadcast.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        total = x.sum(dim=2)
        while total.shape[2] > 1:
            half, odd = divmod(total.shape[2], 2)
            folded = total[:, :, :half] + total[:, :, half : 2 * half]
            total = torch.cat((folded, total[:, :, -1:]), dim=2) if odd else folded
        return total[:, :, 0] / (x.shape[2] * x.shape[3])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.size = inputs[0].shape[2:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        height, width = ctx.size
        share: Tensor = gradient / (height * width)
        return share[:, :, None, None].expand(-1, -1, height, width)


def apply_color(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a colour ``matrix``, see :func:`compose_color`, to ``x`` (B, C, H, W) in one pass; keeps memory format."""
    batch, channels, height, width = x.shape
    gains, offset, of_means = matrix.tensor_split((channels, channels + 1), dim=2)
    if of_means.shape[2]:
        offset = offset + multiply(of_means, channel_mean(x)[:, :, None])
    if is_channels_last(x):
        pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        mixed = torch.baddbmm(offset.transpose(1, 2), pixels, gains.transpose(1, 2))
        return mixed.view(batch, height, width, channels).permute(0, 3, 1, 2)
    return torch.baddbmm(offset, gains, x.flatten(2)).view(batch, channels, height, width)


def is_channels_last(x: Tensor) -> bool:
    """Whether ``x`` (B, C, H, W) is stored with its channels innermost, and only so."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


@lru_cache(maxsize=256)
def constant(rows: Rows, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A small constant matrix on ``device``, copied there once."""
    with torch.inference_mode(False):
        return torch.tensor(rows, dtype=dtype, device=device)

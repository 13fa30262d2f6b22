"""Small matrices, one per image, in arithmetic whose bits do not depend on the batch size.

Products of 3x3 and colour matrices are written out elementwise: a batched matrix product may take another kernel (or
TF32) at another batch size, and the solvers of ``torch.linalg`` wait for the device.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

Rows: TypeAlias = tuple[tuple[float, ...], ...]
"""A constant matrix, row by row."""

PLAIN_LOOP = 400
"""Below so many products ``bmm`` on the CPU is one plain loop."""


def identity_like(matrix: Tensor) -> Tensor:
    """The matrix that changes nothing: I for geometry, [I | 0] for colour."""
    return torch.eye(matrix.shape[1], matrix.shape[2], dtype=matrix.dtype, device=matrix.device)


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` for small matrices (B, n, k) and (B, k, m).

    On the CPU ``bmm`` runs one plain loop for the smallest. Larger products would go to a library whose bits depend on
    how many matrices there are and where in memory they begin, so there and on other devices k outer products are
    added up.
    """
    plain = left.device.type == "cpu" and left.shape[1] * left.shape[2] * right.shape[2] < PLAIN_LOOP
    return torch.bmm(left, right) if plain else sum_of_outer_products(left, right)


def sum_of_outer_products(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` for (B, n, k) and (B, k, m), elementwise and in the order of k."""
    total: Tensor = left[:, :, :1] * right[:, :1]
    for k in range(1, right.shape[1]):
        total = total + left[:, :, k : k + 1] * right[:, k : k + 1]
    return total


def combine(base: Rows, *parts: tuple[Tensor, Rows]) -> Tensor:
    """``base`` plus the sum of ``factor * pattern``: (B,) factors and constant patterns (n, m), to (B, n, m)."""
    factor = parts[0][0]
    total = constant(base, factor.dtype, factor.device)
    for factor, rows in parts:
        total = torch.addcmul(total, factor.view(-1, 1, 1), constant(rows, factor.dtype, factor.device))
    return total


def inverse3x3(matrix: Tensor) -> Tensor:
    """Invert (B, 3, 3) by the adjugate: a row of cofactors is the cross product of the other two rows."""
    cofactors = torch.linalg.cross(matrix.roll(-1, 1), matrix.roll(-2, 1), dim=2)
    terms = matrix[:, 0] * cofactors[:, 0]
    determinant = terms[:, 0] + terms[:, 1] + terms[:, 2]
    inverse: Tensor = cofactors.transpose(1, 2) / determinant[:, None, None]
    return inverse


def pixel_sum(x: Tensor) -> Tensor:
    """The sum over the pixels of ``x`` (B, C, H, W) as (B, C, 1), added up in an order that the image alone decides.

    Columns first, then the row of column sums: one reduction over both axes would be split differently for one image.
    On the CPU so short a row is summed by one plain loop; elsewhere it is folded in half again and again.
    """
    row = x.sum(dim=2)
    if x.device.type == "cpu":
        return row.sum(dim=2, keepdim=True)
    while row.shape[2] > 1:
        half, odd = divmod(row.shape[2], 2)
        folded = row[:, :, :half] + row[:, :, half : 2 * half]
        row = torch.cat((folded, row[:, :, -1:]), dim=2) if odd else folded
    return row


def is_channels_last(x: Tensor) -> bool:
    """Whether ``x`` (B, C, H, W) is stored with its channels innermost, and only so."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


@lru_cache(maxsize=256)
def constant(rows: Rows, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A small constant matrix on ``device``, copied there once."""
    with torch.inference_mode(False):
        return torch.tensor(rows, dtype=dtype, device=device)

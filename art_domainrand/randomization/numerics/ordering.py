"""Rows of a matrix in another order: moved, never mixed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from art_domainrand.core.straight_through import wants_gradient


def reordered(rows: Tensor, order: Tensor) -> Tensor:
    """Row ``order[i]`` of ``rows`` (N, M) as row i; ``order`` (N,) is a permutation of 0 .. N - 1."""
    if not wants_gradient(rows):
        return rows.index_select(0, order)
    moved: Tensor = _Reordered.apply(rows, order)  # type: ignore[no-untyped-call]
    return moved


class _Reordered(torch.autograd.Function):
    """The gradient goes the way back, one more selection, where autograd's own would add to zeros."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return rows.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        back = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
        return gradient.index_select(0, back), None

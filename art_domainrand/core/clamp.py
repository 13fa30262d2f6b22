"""Clipping that lets the gradient pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _StraightThroughClamp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return x.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass  # the gradient depends on nothing

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient, None, None


def straight_through_clamp(x: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Clamp ``x``, with the gradient of the identity (Bengio, Leonard and Courville 2013, arXiv:1308.3432)."""
    clamped: Tensor = _StraightThroughClamp.apply(x, low, high)  # type: ignore[no-untyped-call]
    return clamped

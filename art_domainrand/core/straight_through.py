"""One value in the forward pass, the gradient of another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, surrogate: Tensor) -> Tensor:
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


def straight_through(value: Tensor, surrogate: Tensor) -> Tensor:
    """Return ``value``, bit for bit, with the gradient of ``surrogate`` (Bengio et al. 2013, arXiv:1308.3432)."""
    if not surrogate.requires_grad:
        return value
    # A fresh view, so that autograd does not take the value for an input returned as it is.
    out: Tensor = _StraightThrough.apply(value.detach().view_as(value), surrogate)  # type: ignore[no-untyped-call]
    return out


def snapped(value: Tensor, x: Tensor, step: Tensor) -> Tensor:
    """Return ``value``, which is ``x`` moved onto a lattice of the given ``step``, with a straight-through gradient.

    The distance to the lattice, counted in steps, is held: value = x + e step. So the gradient of the image is the
    identity and that of the step is e.
    """
    if not (x.requires_grad or step.requires_grad):
        return value
    held = ((value - x) / step).detach()
    return straight_through(value.detach(), x + held * step if step.requires_grad else x)


def wants_gradient(*tensors: Tensor) -> bool:
    """Whether autograd records what is done with any of ``tensors``."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def held_to_unit(x: Tensor) -> Tensor:
    """``x`` clipped to [0, 1], with the gradient one where it is inside, 0 and 1 included, and zero beyond."""
    return torch.where((x < 0) | (x > 1), x.detach().clamp(0, 1), x)

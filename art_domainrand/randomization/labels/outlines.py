"""The outlines of boxes, as points and as occupied pixels."""

from __future__ import annotations

import torch
from torch import Tensor

EDGE_PIECES = 32
"""Into how many pieces an edge of a box is cut before a displacement field bends it."""


def unit_outline(like: Tensor, *, bent: bool) -> tuple[Tensor, Tensor]:
    """Points around the unit square, from corner to corner; more of them if it is to be ``bent``."""
    pieces = EDGE_PIECES if bent else 1
    step = torch.arange(pieces, dtype=like.dtype, device=like.device) / pieces
    none, one = torch.zeros_like(step), torch.ones_like(step)
    return torch.cat((step, one, 1 - step, none)), torch.cat((none, step, one, 1 - step))


def occupied_extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """The first and one past the last true entry along the last axis; equal if there is none."""
    position = torch.arange(occupied.shape[-1], device=occupied.device)
    stop = torch.where(occupied, position + 1, 0).amax(-1)
    start = torch.where(occupied, position, occupied.shape[-1]).amin(-1)
    return torch.minimum(start, stop), stop

"""What becomes of carried points where an image ends: three answers for three kinds of points."""

from __future__ import annotations

import torch
from torch import Tensor

from art_domainrand.randomization.numerics.positions import Coords, Frame, Sampling


def mark_lost(points: Coords, sampling: Sampling, frame: Frame) -> Coords:
    """Keypoints outside the image are lost."""
    return points.without(~((points.x.abs() <= frame.width / 2) & (points.y.abs() <= frame.height / 2)))


def cut_boxes(points: Coords, sampling: Sampling, frame: Frame) -> Coords:
    """Outlines (B, N, points) are cut to the image; a box without extent is lost."""
    half_x, half_y = frame.width / 2, frame.height / 2
    cut = points.moved(points.x.clamp(-half_x, half_x), points.y.clamp(-half_y, half_y))
    empty = (_extent(cut.x) <= 0) | (_extent(cut.y) <= 0)
    return cut.without(empty.expand(cut.x.shape))


def cut_sources(points: Coords, sampling: Sampling, frame: Frame, *, soft: bool) -> Coords:
    """Positions that a sampling reads, those outside the image lost, whatever is shown there.

    ``soft`` reading fades over one pixel beyond the outermost centres, the other kind ends half a pixel beyond them.
    """
    margin = 1.0 if soft else 0.5
    inside = _within(points.x, frame.width, margin) & _within(points.y, frame.height, margin)
    return points.without(~inside)


def pad_sources(points: Coords, sampling: Sampling, frame: Frame, *, soft: bool) -> Coords:
    """Positions that a sampling reads, as its padding has it: lost with "zeros", else moved into the image."""
    if sampling.padding == "zeros":
        return cut_sources(points, sampling, frame, soft=soft)
    fold = _clamp if sampling.padding == "border" else _reflect
    return points.moved(fold(points.x, frame.width), fold(points.y, frame.height))


def _extent(position: Tensor) -> Tensor:
    return position.amax(2, keepdim=True) - position.amin(2, keepdim=True)


def _within(position: Tensor, size: int, margin: float) -> Tensor:
    return position.abs() <= (size - 1) / 2 + margin


def _clamp(position: Tensor, size: int) -> Tensor:
    return position.clamp(-(size - 1) / 2, (size - 1) / 2)


def _reflect(position: Tensor, size: int) -> Tensor:
    """Mirror at the centres of the outermost pixels, as often as it takes."""
    half = (size - 1) / 2
    return half - (torch.remainder(position + half, 4 * half) - 2 * half).abs() if size > 1 else position * 0

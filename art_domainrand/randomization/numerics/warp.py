"""The one place where images are resampled."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.randomization.numerics.matrices import constant, inverse3x3, is_channels_last, multiply
from art_domainrand.randomization.numerics.positions import Coords, Sampling, broadcast, centred


def warp(x: Tensor, matrix: Tensor, sampling: Sampling, *, projective: bool) -> Tensor:
    """Move the pixels of ``x`` (B, C, H, W) by ``matrix`` (B, 3, 3), source to target, in pixels from the image centre.

    Only a ``projective`` matrix is divided by its third coordinate. Memory format is kept.
    """
    return _sample(x, sampling_grid(inverse3x3(matrix), x.shape[2], x.shape[3], projective=projective), sampling)


def resample(x: Tensor, points: Coords, sampling: Sampling) -> Tensor:
    """Read ``x`` (B, C, H, W) at ``points``, in pixels from the image centre, to (B, C, M, N)."""
    height, width = x.shape[2:]
    scale = ((2 / max(width - 1, 1), 2 / max(height - 1, 1)),)
    grid = torch.stack(broadcast(points.x, points.y), dim=3)
    grid = grid * constant(scale, grid.dtype, grid.device)
    return _sample(x, grid.to(x.dtype).expand(len(x), -1, -1, -1), sampling)


def _sample(x: Tensor, grid: Tensor, sampling: Sampling) -> Tensor:
    moved = functional.grid_sample(x, grid, mode=sampling.mode, padding_mode=sampling.padding, align_corners=True)
    return moved.contiguous(memory_format=torch.channels_last) if is_channels_last(x) else moved


def sampling_grid(inverse: Tensor, height: int, width: int, *, projective: bool) -> Tensor:
    """Where each target pixel reads: (B, H, W, 2) in the coordinates of ``grid_sample`` with ``align_corners=True``.

    Those run from -1 to 1 between the centres of the outermost pixels. Built as a sum of a row and a column for each
    coordinate plane, which is one pass over memory; the planes are viewed as pairs only at the end.
    """
    half_width, half_height = (width - 1) / 2, (height - 1) / 2
    # An axis of one pixel has no extent to divide by.
    scale = ((1 / (half_width or 1),), (1 / (half_height or 1),), (1.0,))
    count = 3 if projective else 2
    map_ = inverse[:, :count] * constant(scale[:count], inverse.dtype, inverse.device)
    across, down, shift = map_[:, :, None].unbind(3)
    columns = (across * centred(width, inverse.dtype, inverse.device))[:, :, None, :]
    rows = (down * centred(height, inverse.dtype, inverse.device) + shift)[:, :, :, None]
    planes = columns + rows
    if projective:
        planes = planes[:, :2] / planes[:, 2:]
    return planes.permute(0, 2, 3, 1)


def corner_matrix(matrix: Tensor, height: int, width: int) -> Tensor:
    """A (B, 3, 3) ``matrix`` about the image centre as one that counts pixels from the first: Kornia's convention."""
    x, y = (width - 1) / 2, (height - 1) / 2
    there = constant(((1.0, 0.0, x), (0.0, 1.0, y), (0.0, 0.0, 1.0)), matrix.dtype, matrix.device)
    back = constant(((1.0, 0.0, -x), (0.0, 1.0, -y), (0.0, 0.0, 1.0)), matrix.dtype, matrix.device)
    return multiply(multiply(there.expand_as(matrix), matrix), back.expand_as(matrix))

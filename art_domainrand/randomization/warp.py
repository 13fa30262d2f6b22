"""The one place where images are resampled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .linear import inverse3x3, is_channels_last

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


@dataclass(frozen=True)
class Sampling:
    """How to read an image between its pixels (``mode``) and beyond its border (``padding``)."""

    mode: str = "bilinear"
    padding: str = "zeros"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, got {self.mode!r}")
        if self.padding not in PADDINGS:
            raise ValueError(f"padding must be one of {PADDINGS}, got {self.padding!r}")


def warp(x: Tensor, matrix: Tensor, sampling: Sampling, *, projective: bool) -> Tensor:
    """Move the pixels of ``x`` (B, C, H, W) by ``matrix`` (B, 3, 3), source to target pixel coordinates.

    Coordinates are those of Kornia with ``align_corners=True``: the centre of the first pixel is (0, 0), that of the
    last (W - 1, H - 1). Only a ``projective`` matrix is divided by its third coordinate. Memory format is kept.
    """
    height, width = x.shape[-2:]
    grid = sampling_grid(inverse3x3(matrix), height, width, projective=projective)
    moved = functional.grid_sample(x, grid, mode=sampling.mode, padding_mode=sampling.padding, align_corners=True)
    return moved.contiguous(memory_format=torch.channels_last) if is_channels_last(x) else moved


def sampling_grid(inverse: Tensor, height: int, width: int, *, projective: bool) -> Tensor:
    """Where each target pixel reads: (B, H, W, 2) in the [-1, 1] coordinates of ``grid_sample``.

    Built as a sum of a row and a column for each coordinate plane, which is one pass over memory; the planes are viewed
    as pairs only at the end.
    """
    # Source pixels to [-1, 1], folded into the matrix; an axis of one pixel has no extent to divide by.
    scale_x, scale_y = 2 / max(width - 1, 1), 2 / max(height - 1, 1)
    last = inverse[:, 2]
    unit = [inverse[:, 0] * scale_x - last, inverse[:, 1] * scale_y - last]
    map_ = torch.stack([*unit, last] if projective else unit, dim=1)
    x = torch.arange(width, dtype=inverse.dtype, device=inverse.device)
    y = torch.arange(height, dtype=inverse.dtype, device=inverse.device)
    columns = (map_[:, :, 0, None] * x)[:, :, None, :]
    rows = (map_[:, :, 1, None] * y + map_[:, :, 2, None])[:, :, :, None]
    planes = columns + rows
    if projective:
        planes = planes[:, :2] / planes[:, 2:]
    return planes.permute(0, 2, 3, 1)

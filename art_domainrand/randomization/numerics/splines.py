"""Smooth surfaces over an image from a few numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch import Tensor

from art_domainrand.randomization.numerics.matrices import Rows, constant, multiply


def spline_surface(controls: Tensor, height: int, width: int) -> Tensor:
    """The uniform cubic B-spline with ``controls`` (B, K, cells + 3, cells + 3) at every pixel, (B, K, height, width).

    The cells are laid between the centres of the outermost pixels. At no pixel is it beyond its controls.
    """
    cells = controls.shape[2] - 3
    return over_image(controls, _spline_weights(height, cells), _spline_weights(width, cells))


def linear_surface(nodes: Tensor, height: int, width: int) -> Tensor:
    """What is linear between ``nodes`` (B, K, n, n), from border to border, at every pixel: (B, K, height, width)."""
    count = nodes.shape[2]
    return over_image(nodes, _linear_weights(height, count), _linear_weights(width, count))


def over_image(grid: Tensor, down: Rows, across: Rows) -> Tensor:
    """``down @ grid @ across^T`` for ``grid`` (B, K, n, m) and constant weights (height, n) and (width, m)."""
    rows, columns = (constant(weights, grid.dtype, grid.device)[None] for weights in (down, across))
    flat = grid.flatten(0, 1)
    wide = multiply(flat, columns.transpose(1, 2).expand(len(flat), -1, -1))
    return multiply(rows.expand(len(flat), -1, -1), wide).view(*grid.shape[:2], len(down), len(across))


@lru_cache(maxsize=64)
def _spline_weights(size: int, cells: int) -> Rows:
    """The shares (size, cells + 3) of the control points of a uniform cubic B-spline in each of ``size`` pixels."""
    place = np.linspace(0.0, cells, size) if size > 1 else np.array([cells / 2])
    distance = np.abs(place[:, None] - np.arange(-1, cells + 2)[None])
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.clip(2 - distance, 0, None) ** 3 / 6
    return tuple(map(tuple, np.where(distance < 1, near, far).tolist()))


@lru_cache(maxsize=64)
def _linear_weights(size: int, nodes: int) -> Rows:
    """The shares (size, nodes) of evenly spaced nodes, the first and the last at the border, in each pixel."""
    place = (np.arange(size) + 0.5) / size * (nodes - 1)
    return tuple(map(tuple, np.clip(1 - np.abs(place[:, None] - np.arange(nodes)), 0, None).tolist()))

"""Geometry that moves whole patches of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.hashing import hash_field
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.ordering import reordered
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, broadcast


@dataclass(frozen=True)
class GridShuffle(PixelTransform):
    """Cut the image into equal cells and put them back in a random order.

    Pixels are moved, never mixed, so the change is exact and can be undone. The pixels to the right and at the bottom
    that do not make up a cell stay where they are; an image of fewer pixels than cells has cells of one pixel.

    :param rows: the number of rows of cells, an int >= 1.
    :param columns: the number of columns of cells, an int >= 1.
    :raises ValueError: for values outside these bounds.
    """

    rows: int = 3
    columns: int = 3
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rows", "columns"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an int >= 1, got {value!r}")

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        batch, channels, height, width = x.shape
        rows, columns, tall, wide = self._cells(height, width)
        # What moves as one piece is a row of a cell; the pieces are counted in the order in which they lie in memory.
        cell = self._order(values["seed"], rows * columns).view(batch, rows, columns)
        cell = torch.div(cell, columns, rounding_mode="floor") * (tall * columns) + cell % columns
        count = rows * tall * columns
        planes = torch.arange(0, batch * channels * count, count, device=x.device).view(batch, channels, 1, 1, 1)
        within = torch.arange(0, tall * columns, columns, device=x.device).view(tall, 1)
        pieces = cell[:, None, :, None] + (planes + within)
        cells = x[:, :, : rows * tall, : columns * wide]
        shuffled = reordered(cells.reshape(-1, wide), pieces.flatten()).view(cells.shape)
        if shuffled.shape == x.shape:
            return shuffled
        shuffled = torch.cat((shuffled, x[:, :, : rows * tall, columns * wide :]), dim=3)
        return torch.cat((shuffled, x[:, :, rows * tall :]), dim=2)

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        rows, columns, tall, wide = self._cells(frame.height, frame.width)
        order = self._order(values["seed"], rows * columns)
        if not way.backward:
            order = order.argsort(dim=1)
        # From the corner of the image, as pixel i spans [i, i + 1].
        x, y = broadcast(points.x + frame.width / 2, points.y + frame.height / 2)
        row, column = torch.floor(y / tall), torch.floor(x / wide)
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        cell = torch.where(inside, row * columns + column, 0).long()
        cell = cell.expand(len(order), -1, -1)
        other = order.gather(1, cell.flatten(1)).view(cell.shape)
        right = torch.where(inside, (other % columns - column) * wide, 0)
        down = torch.where(inside, (torch.div(other, columns, rounding_mode="floor") - row) * tall, 0)
        return points.moved(points.x + right, points.y + down)

    def _cells(self, height: int, width: int) -> tuple[int, int, int, int]:
        """How many rows and columns of cells there are, and how tall and wide each is."""
        rows, columns = min(self.rows, height), min(self.columns, width)
        return rows, columns, height // rows, width // columns

    @staticmethod
    def _order(seeds: Tensor, cells: int) -> Tensor:
        """For each image and cell the cell whose pixels it gets, (B, cells)."""
        return hash_field(seeds, cells).argsort(dim=1, stable=True)

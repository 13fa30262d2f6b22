"""Geometry that moves whole patches of pixels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.checks import require
from art_domainrand.core.hashing import hash_field
from art_domainrand.randomization.core.distributions import Distribution, Uniform
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.ordering import reordered
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, Sampling, broadcast


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


@dataclass(frozen=True)
class CropShift(PixelTransform):
    """Cut a rectangle out of the image and put it down elsewhere on black, without resizing it.

    A number of pixels n is drawn, then how many columns the rectangle lacks, from 0 to n; it lacks as many rows as are
    left of n. Where it lies in the image, and where it comes to lie, are drawn evenly among all places inside (Li and
    Spratling, "Data augmentation alone can improve adversarial training", ICLR 2023, section 4.1).
    Pixels are counted, not shares: images of which more than half can be cut draw a RuntimeWarning.

    :param least: the smallest n, >= 0.
    :param most: the largest n, >= ``least``.
    :raises ValueError: for values outside these bounds.
    """

    least: int = 0
    most: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (self.least, self.most))
        rule = "be ints, 0 <= least <= most"
        require(whole and 0 <= self.least <= self.most, "least and most", rule, (self.least, self.most))

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        names = ("lacking", "columns", "from_x", "from_y", "to_x", "to_y")
        return dict.fromkeys(names, Uniform(0.0, 1.0))

    def chosen(self, name: str, u: Tensor) -> str | None:
        if name == "lacking":
            return f"{int(self._lacking(u))} pixels"
        return f"at {float(u):.0%} of its choices"

    def apply(self, x: Tensor, values: Values) -> Tensor:
        self._warn_of_small(min(x.shape[2:]))
        columns, rows, from_x, from_y, to_x, to_y = self._whole(values)
        for axis, lacking, start, end in ((3, columns, from_x, to_x), (2, rows, from_y, to_y)):
            size = x.shape[axis]
            source = torch.arange(size, device=x.device) - (end - start)[:, None]
            shown = (source >= start[:, None]) & (source < start[:, None] + size - lacking[:, None])
            shape = (len(x), 1, 1, size) if axis == 3 else (len(x), 1, size, 1)
            moved = x.gather(axis, source.clamp(0, size - 1).view(shape).expand(x.shape))
            x = torch.where(shown.view(shape), moved, torch.zeros_like(moved))
        return x

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        _, _, from_x, from_y, to_x, to_y = (whole.view(-1, 1, 1) for whole in self._whole(values))
        right, down = to_x - from_x, to_y - from_y
        sign = -1 if way.backward else 1
        points = points.moved(points.x + sign * right, points.y + sign * down)
        return points if way.settle is None else way.settle(points, Sampling("nearest"), frame)

    def _warn_of_small(self, side: int) -> None:
        if 2 * self.most > side and not torch.compiler.is_compiling():
            message = f"most should be no more than half of an image's side, got {self.most} of {side} pixels"
            warnings.warn(f"{message}: CropShift counts pixels, not shares", RuntimeWarning, stacklevel=3)

    def _lacking(self, u: Tensor) -> Tensor:
        return self.least + (u * (self.most - self.least + 1)).long().clamp_max(self.most - self.least)

    def _whole(self, values: Values) -> tuple[Tensor, ...]:
        """The columns and rows lacking, and the place of the rectangle's corner before and after, (B,) int64 each."""
        lacking = self._lacking(values["lacking"])
        columns = one_of_counted(values["columns"], lacking)
        rows = lacking - columns
        places = (("from_x", columns), ("from_y", rows), ("to_x", columns), ("to_y", rows))
        return columns, rows, *(one_of_counted(values[name], most) for name, most in places)


def one_of_counted(u: Tensor, most: Tensor) -> Tensor:
    """An int from 0 to ``most`` (B,), evenly, by the points ``u`` (B,) of [0, 1]."""
    return torch.minimum((u * (most + 1)).long(), most)

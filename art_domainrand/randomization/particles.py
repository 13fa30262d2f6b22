"""Things that fall past the camera, one in each tile of a tiling: drops and flakes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .fields import member_seeds, uniform_field

TABLE = 64
"""Tiles repeat after this many in both directions, a power of 2 beyond what one sees of a pattern."""

SPLIT = 1 << 11
"""A random number of 23 bits is split into two, of 11 and 12."""

FADE = 0.25
"""A thing fades in while the amount grows by this share, so that there is a gradient to the amount."""


@dataclass(frozen=True)
class Tiles:
    """Where each pixel lies in its tile, ``across`` and ``along`` in [0, 1), and three random numbers of the tile.

    ``present`` in [0, 1] says how much of a thing there is. All are (B, 1, H, W).
    """

    across: Tensor
    along: Tensor
    present: Tensor
    random: tuple[Tensor, ...]


def tiles(x: Tensor, seeds: Tensor, lean: Tensor, width: Tensor, length: Tensor, amount: Tensor) -> Tiles:
    """Tile ``x`` (B, C, H, W) by ``width`` x ``length`` pixels, the length ``lean`` degrees from straight down.

    ``amount`` is the share of tiles with something in them. Columns of tiles are shifted against each other. All
    arguments but ``x`` are (B,); gradients flow to them from the places in the tiles.
    """
    rows = torch.arange(x.shape[2], dtype=x.dtype, device=x.device).view(1, 1, -1, 1) - (x.shape[2] - 1) / 2
    columns = torch.arange(x.shape[3], dtype=x.dtype, device=x.device) - (x.shape[3] - 1) / 2
    radians = torch.deg2rad(lean).view(-1, 1, 1, 1)
    cosine, sine = radians.cos(), radians.sin()
    across = (columns * cosine - rows * sine) / width.view(-1, 1, 1, 1)
    column = across.detach().floor()
    place = column.long().bitwise_and_(TABLE - 1).flatten(1)
    shift = uniform_field(member_seeds(seeds, 0), TABLE, x.dtype).gather(1, place).view(column.shape)
    along = (columns * sine + rows * cosine) / length.view(-1, 1, 1, 1) + shift
    row = along.detach().floor()
    index = row.long().bitwise_and_(TABLE - 1).mul_(TABLE).flatten(1).add_(place)
    table = uniform_field(member_seeds(seeds, 1), 2 * TABLE * TABLE, x.dtype).mul_(SPLIT)
    chance, first = _two(table.gather(1, index).view(row.shape))
    second, third = _two(table[:, TABLE * TABLE :].gather(1, index).view(row.shape))
    # Present for certain where the number lies FADE below the amount; scaled so that amounts of 0 and 1 mean it.
    present = ((amount.view(-1, 1, 1, 1) * (1 + FADE) - chance) / FADE).clamp(0, 1)
    return Tiles(across - column, along - row, present, (first, second, third))


def _two(number: Tensor) -> tuple[Tensor, Tensor]:
    """Two independent numbers in [0, 1) from one in [0, SPLIT)."""
    whole = number.floor()
    return whole / SPLIT, number - whole


def streaks(x: Tensor, seeds: Tensor, lean: Tensor, width: Tensor, length: Tensor, amount: Tensor) -> Tensor:
    """Drops of rain drawn out by their fall, (B, 1, H, W) in [0, 1]; arguments as for :func:`tiles`."""
    tiling = tiles(x, seeds, lean, width, length, amount)
    brightness, start, size = tiling.random
    reach = 0.4 + 0.6 * size
    along = (tiling.along - start * (1 - reach)) / reach
    profile = 4 * tiling.across * (1 - tiling.across) * (4 * along * (1 - along)).clamp_min(0)
    return profile * (0.35 + 0.65 * brightness) * tiling.present


def flakes(x: Tensor, seeds: Tensor, lean: Tensor, size: Tensor, speed: Tensor, amount: Tensor) -> Tensor:
    """Flakes of snow of up to ``size`` pixels, drawn out to ``speed`` times that, (B, 1, H, W) in [0, 1].

    ``lean`` and ``amount`` as for :func:`tiles`.
    """
    tiling = tiles(x, seeds, lean, size, size * speed, amount)
    left, top, large = tiling.random
    radius = 0.2 + 0.3 * large
    across = (tiling.across - radius - (1 - 2 * radius) * left) / radius
    along = (tiling.along - radius - (1 - 2 * radius) * top) / radius
    return (1.5 * (1 - across.square() - along.square())).clamp(0, 1) * tiling.present

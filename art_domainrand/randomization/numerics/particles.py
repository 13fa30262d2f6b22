"""Things that fall past the camera, one in each tile of a tiling: drops and flakes.

What a tile holds is worked out once for the tile, in a small table; a pixel only looks it up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from art_domainrand.core.hashing import hash_field
from art_domainrand.core.straight_through import wants_gradient

TABLE = 64
"""Tiles repeat after at most this many in both directions, a power of 2 beyond what one sees of a pattern."""

NARROWEST = 1.5
"""Tiles are about this many pixels wide and twice as long at least; those of smaller ones repeat earlier."""

PIXELS_AT_ONCE = 1 << 16
"""On the CPU the many elementwise passes stay in the cache if they run over images of about this many pixels."""

FADE = 0.25
"""A thing fades in while the amount grows by this share, so that there is a gradient to the amount."""


@dataclass(frozen=True)
class Tiling:
    """One tiling for each of B images, and what its tiles hold.

    ``lines`` say where a pixel lies in the tiling, in tiles: across by column (B, 1, 1, W) and by row (B, 1, H, 1),
    then along by column and by row. ``shift`` (B, columns of tiles) moves each column of tiles along, ``tables``
    (B, tiles) are numbers for each tile.
    """

    lines: tuple[Tensor, ...]
    shift: Tensor
    tables: tuple[Tensor, ...]

    def split(self, count: int) -> list[Tiling]:
        """The tilings of ``count`` images at a time."""
        lines, tables = (
            zip(*(torch.split(part, count) for part in parts), strict=True) for parts in (self.lines, self.tables)
        )
        return list(map(Tiling, lines, torch.split(self.shift, count), tables))

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.shift.device

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to any part."""
        return any(part.requires_grad for part in (*self.lines, *self.tables))

    def pixels(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Where each pixel lies in its tile, across and along in [0, 1), and the tile's numbers.

        All are (B, 1, H, W). Gradients flow to ``lines`` and ``tables``.
        """
        wide, count = self.shift.shape[1], self.tables[0].shape[1]
        across_by_column, across_by_row, along_by_column, along_by_row = self.lines
        # Buffers are reused as soon as they can be: what is in the cache at a time decides how long this takes.
        across = across_by_column + across_by_row
        column = across.detach().floor()
        across = across.sub_(column)
        place = column.int().bitwise_and_(wide - 1)
        shift = _look_up(self.shift, _in_row(place, wide))
        along = (along_by_column + along_by_row).add_(shift)
        row = torch.floor(along.detach(), out=shift)
        along = along.sub_(row)
        tile = row.int().bitwise_and_(count // wide - 1).mul_(wide).add_(place)
        tile = _in_row(tile, count)
        return across, along, [_look_up(table, tile) for table in self.tables]


def tiles(
    x: Tensor, seeds: Tensor, lean: Tensor, width: Tensor, length: Tensor, amount: Tensor, numbers: int
) -> tuple[Tiling, list[Tensor]]:
    """Tile ``x`` (B, C, H, W) by ``width`` x ``length`` pixels, the length ``lean`` degrees from straight down.

    ``amount`` is the share of tiles with something in them: the one table of the tiling says in [0, 1] how much of a
    thing a tile holds. With it come so many independent ``numbers`` in [0, 1) for each tile, (B, tiles). Columns of
    tiles are shifted against each other. All other arguments but ``x`` are (B,); gradients flow to them.
    """
    radians = torch.deg2rad(lean).view(-1, 1, 1, 1)
    cosine, sine = radians.cos(), radians.sin()
    width, length = width.view(-1, 1, 1, 1), length.view(-1, 1, 1, 1)
    columns, rows = _centred(x.shape[3], x), _centred(x.shape[2], x)[:, None]
    lines = (columns * (cosine / width), rows * (-sine / width), columns * (sine / length), rows * (cosine / length))
    diagonal = max(1.0, math.hypot(*x.shape[2:]) / NARROWEST)
    wide, long = (min(TABLE, 1 << math.ceil(math.log2(max(1.0, most)))) for most in (diagonal, diagonal / 2))
    bits = hash_field(seeds, wide * long + wide)
    share = 32 // (numbers + 1)  # of the bits of a tile
    cut, top = (1 << share) - 1, 1 << share
    shift = bits[:, wide * long :].bitwise_and(cut).to(x.dtype).mul_(1 / top)
    bits = bits[:, : wide * long]
    chance = bits.bitwise_and(cut).to(x.dtype)
    random = [(bits >> (place * share)).bitwise_and_(cut).to(x.dtype).mul_(1 / top) for place in range(1, numbers + 1)]
    # Present for certain where the number lies FADE below the amount; scaled so that amounts of 0 and 1 mean it.
    most = amount.view(-1, 1) * ((1 + FADE) / FADE)
    present = torch.sub(most, chance, alpha=1 / (FADE * top)).clamp(0, 1)
    return Tiling(lines, shift, (present,)), random


def rain_tiling(
    x: Tensor, seeds: Tensor, lean: Tensor, width: Tensor, length: Tensor, amount: Tensor, opacity: Tensor
) -> Tiling:
    """The tiling that :func:`draw_streaks` draws, ``opacity`` (B,) at most; arguments as for :func:`tiles`."""
    tiling, (size,) = tiles(x, seeds, lean, width, length, amount, 1)
    # The larger a drop, the longer and the brighter its streak; 16 times the height is that of the two parabolas.
    strength = (5.6 + 10.4 * size) * (tiling.tables[0] * opacity.view(-1, 1))
    return replace(tiling, tables=(1 / (0.4 + 0.6 * size), strength))


def draw_streaks(tiling: Tiling) -> Tensor:
    """Drops of rain drawn out by their fall, (B, 1, H, W) in [0, 1]."""
    across, along, (enlarge, strength) = tiling.pixels()
    along = along * enlarge
    along = torch.addcmul(along, along, along, value=-1).clamp_min(0)
    return torch.addcmul(across, across, across, value=-1) * along * strength


def snow_tiling(x: Tensor, seeds: Tensor, lean: Tensor, size: Tensor, speed: Tensor, amount: Tensor) -> Tiling:
    """The tiling that :func:`draw_flakes` draws: flakes of up to ``size`` pixels, drawn out to ``speed`` times that.

    Other arguments as for :func:`tiles`.
    """
    tiling, (left, top, large) = tiles(x, seeds, lean, size, size * speed, amount, 3)
    radius = 0.2 + 0.3 * large
    enlarge = math.sqrt(1.5) / radius  # a flake is 1.5 (1 - r^2), cut at 1
    left, top = (((2 * radius - 1) * share - radius) * enlarge for share in (left, top))
    return replace(tiling, tables=(enlarge, left, top, *tiling.tables))


def draw_flakes(tiling: Tiling) -> Tensor:
    """Flakes of snow, (B, 1, H, W) in [0, 1]."""
    across, along, (enlarge, left, top, present) = tiling.pixels()
    across, along = torch.addcmul(left, across, enlarge), torch.addcmul(top, along, enlarge)
    inside = 1.5 - torch.addcmul(across.square(), along, along)
    return inside.clamp(0, 1) * present


def streaks(x: Tensor, seeds: Tensor, lean: Tensor, width: Tensor, length: Tensor, amount: Tensor) -> Tensor:
    """Drops of rain drawn out by their fall, (B, 1, H, W) in [0, 1]; arguments as for :func:`tiles`."""
    return in_blocks(draw_streaks, x.shape, rain_tiling(x, seeds, lean, width, length, amount, torch.ones_like(lean)))


def flakes(x: Tensor, seeds: Tensor, lean: Tensor, size: Tensor, speed: Tensor, amount: Tensor) -> Tensor:
    """Flakes of snow, (B, 1, H, W) in [0, 1]; arguments as for :func:`snow_tiling`."""
    return in_blocks(draw_flakes, x.shape, snow_tiling(x, seeds, lean, size, speed, amount))


def in_blocks(render: Callable[..., Tensor], shape: torch.Size, *parts: Tensor | Tiling) -> Tensor:
    """``render(*parts)`` for B images of ``shape`` (B, C, H, W), a few at a time where that is faster."""
    at_once = max(1, PIXELS_AT_ONCE // (shape[2] * shape[3]))
    tracked = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
    if parts[0].device.type != "cpu" or shape[0] <= at_once or tracked:
        return render(*parts)
    blocks = zip(*(_split(part, at_once) for part in parts), strict=True)
    first = render(*next(blocks))
    whole = first.new_empty((shape[0], *first.shape[1:]))
    whole[: len(first)] = first
    for block, target in zip(blocks, torch.split(whole, at_once)[1:], strict=True):
        target.copy_(render(*block))
    return whole


def _split(part: Tensor | Tiling, count: int) -> Sequence[Tensor | Tiling]:
    return part.split(count) if isinstance(part, Tiling) else torch.split(part, count)


def veiled(x: Tensor, light: Tensor, through: Tensor, color: Tensor) -> Tensor:
    """``x`` (B, C, H, W) times ``light`` (B, 1, 1, 1), seen to the share ``through`` (B, 1, H, W) before ``color``."""
    if wants_gradient(light, through):
        return torch.lerp(color, x * light, through)
    seen: Tensor = _Veil.apply(x, light, through, color)  # type: ignore[no-untyped-call]
    return seen


class _Veil(torch.autograd.Function):
    """The share that is seen is the gradient of the image: one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, light: Tensor, through: Tensor, color: Tensor) -> Tensor:
        ctx.save_for_backward(*((light, through) if ctx.needs_input_grad[0] else ()))
        veiled = torch.empty_like(x)
        at_once = max(1, PIXELS_AT_ONCE // (x.shape[2] * x.shape[3])) if x.device.type == "cpu" else len(x)
        for image, factor, share, target in zip(
            *(torch.split(part, at_once) for part in (x, light, through, veiled)), strict=True
        ):
            torch.lerp(color, torch.mul(image, factor, out=target), share, out=target)
        return veiled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        light, through = ctx.saved_tensors
        return gradient * (through * light), None, None, None


def _in_row(index: Tensor, length: int) -> Tensor:
    """Where a place ``index`` (B, ...) int32 in each image's row of ``length`` numbers lies in all of the rows."""
    if len(index) == 1:
        return index
    first = torch.arange(0, len(index) * length, length, dtype=torch.int32, device=index.device)
    return index + first.view(-1, *[1] * (index.dim() - 1))


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    return table.flatten().index_select(0, index.flatten()).view(index.shape)


def _centred(size: int, like: Tensor) -> Tensor:
    """Places along an axis of ``size`` pixels, counted from its middle."""
    return torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2

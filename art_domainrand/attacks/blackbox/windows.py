"""Windows of images: how large they are when, where they lie, and the mountains that they are filled with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from art_domainrand.core.norms import lp_norm

# Andriushchenko et al. 2020, section 5 and appendix B: up to which of 10,000 queries the share of changed pixels is
# the first one over 1, 2, 4 ...
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
SCHEDULED = 10_000


def window_share(i: int, queries: int, first: float) -> float:
    """The share of all pixels that query ``i`` of so many changes; ``first`` is that of the first ones."""
    scheduled = i * SCHEDULED // queries
    halvings = sum(scheduled > end for end in HALVINGS)
    return first / (1 << halvings)


@dataclass(frozen=True)
class Planes:
    """Images of a ``shape`` without the batch as planes (A, C, H, W), C of them for each.

    The last two axes are height and width, or with ``channels_last`` the two before the last. Features in a row are one
    plane of height one.
    """

    shape: tuple[int, ...]
    channels_last: bool = False

    @property
    def moves(self) -> bool:
        """Whether there is an axis of channels behind height and width."""
        return self.channels_last and len(self.shape) > 2

    @property
    def size(self) -> tuple[int, int, int]:
        """Planes, height and width."""
        *front, height, width = (1, *self.shape)
        if self.moves:
            *front, height, width = *front[:-1], width, front[-1], height
        return int(torch.Size(front).numel()), height, width

    def of(self, x: Tensor) -> Tensor:
        """The planes of images (A, ...)."""
        return (x.movedim(-1, -3) if self.moves else x).reshape(len(x), *self.size)

    def images(self, planes: Tensor) -> Tensor:
        """The images that have these planes."""
        if not self.moves:
            return planes.reshape(len(planes), *self.shape)
        *front, height, width, channels = self.shape
        return planes.reshape(len(planes), *front, channels, height, width).movedim(-3, -1)


def window_size(share: float, height: int, width: int, least: int = 1, *, odd: bool = False) -> tuple[int, int]:
    """Height and width of the square that covers a ``share`` of the plane; where it is too high or wide it is longer.

    Its sides are at least ``least``, with ``odd`` odd, and those of the plane at most.
    """
    side = max(round((share * height * width) ** 0.5), least)
    side += odd and side % 2 == 0
    if side <= min(height, width):
        return side, side
    if height <= width:
        return height, min(max(round(share * width), least), width)
    return min(max(round(share * height), least), height), width


def window_place(u: Tensor, size: tuple[int, int], plane: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where windows begin, (A,) rows and columns, by uniform numbers ``u`` (A, 2): everywhere they fit alike."""
    top, left = ((u[:, axis] * (plane[axis] - size[axis] + 1)).long() for axis in (0, 1))
    return top, left


def window_pixels(place: tuple[Tensor, Tensor], size: tuple[int, int], width: int) -> Tensor:
    """The pixels of windows, (A, pixels), as indices into planes whose rows are ``width`` long, one after the other."""
    top, left = place
    rows = top[:, None] + torch.arange(size[0], device=top.device)
    columns = left[:, None] + torch.arange(size[1], device=left.device)
    return (rows[:, :, None] * width + columns[:, None, :]).flatten(1)


def pyramid(height: int, width: int, power: int) -> Tensor:
    """A mountain (height, width): rings around the middle, each higher by one over its number to the ``power``.

    Andriushchenko et al. 2020, section 4.2, with power 2; Croce & Hein 2021 take 4 for L1.
    """
    ring = torch.maximum(
        (torch.arange(height) - height // 2).abs().unsqueeze(1), (torch.arange(width) - width // 2).abs().unsqueeze(0)
    )
    rises = 1 / torch.arange(1, max(height, width) // 2 + 2, dtype=torch.float64) ** power
    return rises.flip(0).cumsum(0).flip(0)[ring]


@cache
def two_mountains(size: tuple[int, int], norm: float, *, upright: bool) -> Tensor:
    """A mountain and a valley in a window (height, width), one under the other or ``upright`` side by side.

    Its length in the ``norm`` is one.
    """
    height, width = size if not upright else size[::-1]
    power = 4 if norm == 1 else 2
    parts = [unit(pyramid(rows, width, power), norm) for rows in (height // 2, height - height // 2)]
    both = unit(torch.cat([parts[0], -parts[1]]), norm)
    return both.T if upright else both


def unit(x: Tensor, norm: float) -> Tensor:
    """``x`` (h, w) at length one; nothing stays nothing."""
    length = lp_norm(x.unsqueeze(0), norm).squeeze()
    return x / length if x.numel() else x

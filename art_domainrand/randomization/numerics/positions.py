"""Positions in an image, how a transform carries them, and how an image is read at them.

They are the common language of matrices and displacement fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


INVERSION_STEPS = 8
"""Newton doubles the digits with each step: five reach the rounding, from a start within half an image."""

DIFFERENCE = 1e-4
"""The step in pixels of the Jacobian's difference quotient."""


@dataclass(frozen=True)
class Frame:
    """What a matrix may depend on besides its values: the size of an image.

    :param channels: the number of channels.
    :param height: the number of rows, in pixels.
    :param width: the number of columns, in pixels.
    """

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Sampling:
    """How to read an image between its pixels (``mode``) and beyond its border (``padding``).

    :param mode: "bilinear", "nearest" or "bicubic".
    :param padding: "zeros", "border" or "reflection".
    :raises ValueError: for any other name.
    """

    mode: str = "bilinear"
    padding: str = "zeros"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, got {self.mode!r}")
        if self.padding not in PADDINGS:
            raise ValueError(f"padding must be one of {PADDINGS}, got {self.padding!r}")


def frame_of(x: Tensor) -> Frame:
    """The frame of a batch ``x`` (B, C, H, W)."""
    return Frame(x.shape[1], x.shape[2], x.shape[3])


class Coords(NamedTuple):
    """Positions in pixels from the image centre: ``x`` to the right, ``y`` down.

    Both are of rank three and broadcast to (B, M, N). ``lost`` marks those that have left the image for good, None
    means that none has. ``lattice`` says that they are the pixels of the frame themselves: x is (1, 1, W), y (1, H, 1).
    """

    x: Tensor
    y: Tensor
    lost: Tensor | None = None
    lattice: bool = False

    def moved(self, x: Tensor, y: Tensor) -> Coords:
        """The same points in another place."""
        return Coords(x, y, self.lost)

    def without(self, lost: Tensor) -> Coords:
        """The same points, those of ``lost`` marked as such."""
        return self._replace(lost=lost if self.lost is None else self.lost | lost)


Settle: TypeAlias = Callable[[Coords, Sampling, Frame], Coords]
"""What becomes of carried points when an image of this frame has been resampled."""


class Carrying(NamedTuple):
    """Which way points are carried, and what befalls them where an image has been resampled.

    ``backward`` goes from the target to the source, as images are sampled. ``settle``, if there is one, is called after
    every resampling with the points, how the image was sampled, and its frame.
    """

    backward: bool
    settle: Settle | None = None


def pixel_lattice(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Coords:
    """All pixels of an image, as a row and a column that broadcast."""
    row, column = centred(width, dtype, device), centred(height, dtype, device)
    return Coords(row[None, None, :], column[None, :, None], lattice=True)


def broadcast(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors that broadcast, as views of their common shape."""
    x, y = torch.broadcast_tensors(x, y)  # type: ignore[no-untyped-call]
    return x, y


@lru_cache(maxsize=32)
def centred(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The positions of ``size`` pixels from their centre."""
    with torch.inference_mode(False):
        return torch.arange(size, dtype=dtype, device=device) - (size - 1) / 2


def map_points(matrix: Tensor, points: Coords, *, projective: bool) -> Coords:
    """Carry ``points`` by a (B, 3, 3) ``matrix``; only a ``projective`` one is divided by its third coordinate.

    On the lattice each coordinate is the sum of a row and a column, which is one pass over memory.
    """
    rows = [
        matrix[:, row, 0, None, None] * points.x
        + (matrix[:, row, 1, None, None] * points.y + matrix[:, row, 2, None, None])
        for row in range(3 if projective else 2)
    ]
    return points.moved(rows[0] / rows[2], rows[1] / rows[2]) if projective else points.moved(rows[0], rows[1])


def where(gate: Tensor, first: Coords, second: Coords) -> Coords:
    """The ``first`` points of the images with ``gate`` (B,), the ``second`` ones of the others."""
    at = gate[:, None, None]
    lost = first.lost
    if first.lost is not None or second.lost is not None:
        here, there = (torch.zeros_like(at) if points.lost is None else points.lost for points in (first, second))
        lost = torch.where(at, here, there)
    return Coords(torch.where(at, first.x, second.x), torch.where(at, first.y, second.y), lost)


def solve(pull: Callable[[Coords], Coords], wanted: Coords) -> Coords:
    """The points that ``pull`` takes to the ``wanted`` ones, by Newton's method.

    ``pull`` acts on each point alone. Only the last step is recorded by autograd, which is all that the gradient of a
    solution needs (the implicit function theorem).
    """
    with torch.no_grad():
        found = wanted
        for _ in range(INVERSION_STEPS - 1):
            found = _newton(pull, wanted, found)
    return _newton(pull, wanted, found)


def _newton(pull: Callable[[Coords], Coords], wanted: Coords, guess: Coords) -> Coords:
    x, y = broadcast(guess.x, guess.y)
    count = x.shape[2]
    beside = Coords(torch.cat((x, x + DIFFERENCE, x), dim=2), torch.cat((y, y, y + DIFFERENCE), dim=2))
    at = pull(beside)
    (x0, x1, x2), (y0, y1, y2) = (torch.split(part, count, dim=2) for part in broadcast(at.x, at.y))
    with torch.no_grad():
        xx, xy, yx, yy = ((end - start) / DIFFERENCE for end, start in ((x1, x0), (x2, x0), (y1, y0), (y2, y0)))
        # Where nothing folds the determinant is positive; a rounded one must not become a division by zero.
        determinant = (xx * yy - xy * yx).clamp_min(1e-3)
    off_x, off_y = wanted.x - x0, wanted.y - y0
    return wanted.moved(x + (yy * off_x - xy * off_y) / determinant, y + (xx * off_y - yx * off_x) / determinant)

"""Channels exchanged, lost or shifted: colour matrices, so they fuse with their neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from .color import one_offset, unchanged
from .distributions import Constant, Range, Uniform, require_support
from .fields import mix64
from .linear import constant
from .transform import ColorTransform, Frame, Values, require_rgb

_FULLY = Constant(1.0)
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # multiples of 2^64 / golden ratio, modulo 2^64, are spread evenly


@dataclass(frozen=True)
class ChannelShuffle(ColorTransform):
    """Put the channels into a random order, every order equally likely; the draw's seed decides.

    ``amount`` fades from the image, 0, to the shuffled one, 1.
    """

    amount: Range = _FULLY
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"amount": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        amount = values["amount"].view(-1, 1, 1)
        same = constant(unchanged(frame.channels), amount.dtype, amount.device)
        order = _random_order(values["seed"], frame.channels)
        moved = order[:, :, None] == _places(frame.channels + 1, order.device)
        matrix: Tensor = same + amount * (moved.to(amount.dtype) - same)
        return matrix


@dataclass(frozen=True)
class ChannelDropout(ColorTransform):
    """Replace ``count`` channels, picked by the draw's seed, by the constant ``fill`` in units of [0, 1]."""

    fill: Range = Uniform(0.0, 1.0)
    count: int = 1
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"fill": "intensity"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.count, int) or isinstance(self.count, bool) or self.count < 1:
            raise ValueError(f"count must be an int > 0, got {self.count!r}")

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        if self.count > frame.channels:
            raise ValueError(f"count must be at most {frame.channels}, the number of channels of x, got {self.count}")
        fill = values["fill"].view(-1, 1, 1)
        # The entry of each channel in a random order is a random rank without ties.
        lost = _random_order(values["seed"], frame.channels)[:, :, None] < self.count
        same, only_offset = (
            constant(pattern(frame.channels), fill.dtype, fill.device) for pattern in (unchanged, one_offset)
        )
        return torch.where(lost, fill * only_offset, same)


@dataclass(frozen=True)
class RGBShift(ColorTransform):
    """Add a constant to each channel of an RGB image: ``red``, ``green`` and ``blue``, in units of [0, 1]."""

    red: Range = Uniform(-0.1, 0.1)
    green: Range = Uniform(-0.1, 0.1)
    blue: Range = Uniform(-0.1, 0.1)
    units: ClassVar[Mapping[str, str]] = {"red": "intensity", "green": "intensity", "blue": "intensity"}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        require_rgb(self, frame.channels)
        shift = torch.stack((values["red"], values["green"], values["blue"]), dim=1)[:, :, None]
        same, only_offset = (constant(pattern(3), shift.dtype, shift.device) for pattern in (unchanged, one_offset))
        matrix: Tensor = same + shift * only_offset
        return matrix


def _random_order(seeds: Tensor, count: int) -> Tensor:
    """A random permutation of 0 .. count - 1 for each of ``seeds`` (B,), (B, count), by sorting hashes.

    The hash is one-to-one on 64 bits, so the ``count`` hashes of a seed differ and the order is never a matter of ties.
    """
    return mix64(seeds[:, None] + _places(count, seeds.device) * _GOLDEN).argsort(dim=1)


@lru_cache(maxsize=64)
def _places(count: int, device: torch.device) -> Tensor:
    """0 .. count - 1, copied to the device once."""
    with torch.inference_mode(False):
        return torch.arange(count, device=device)

"""Channels exchanged, lost or shifted: colour matrices, so they fuse with their neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.hashing import GOLDEN
from art_domainrand.core.random import permutations
from art_domainrand.randomization.core.distributions import Constant, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import ColorTransform, Values, require_rgb
from art_domainrand.randomization.numerics.matrices import constant, is_channels_last
from art_domainrand.randomization.numerics.ordering import reordered
from art_domainrand.randomization.numerics.positions import Frame
from art_domainrand.randomization.transforms.color import ChannelwiseTransform, one_offset, unchanged

_FULLY = Constant(1.0)
_LISTED = 5
"""Up to so many channels their orders are listed: 120 of them."""

_ODD = 0xBF58476D1CE4E5B9 - (1 << 64)  # a multiplier of SplitMix64


@dataclass(frozen=True)
class ChannelShuffle(ColorTransform):
    """Put the channels into a random order, every order equally likely; the draw's seed decides.

    :param amount: how far to fade, in [0, 1], from the image, 0, to the shuffled one, 1.
    :raises ValueError: for an amount outside [0, 1].
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

    def apply(self, x: Tensor, values: Values) -> Tensor:
        wholly = isinstance(self.amount, Constant) and not isinstance(self.amount.value, Tensor)
        if wholly and self.amount == _FULLY and x.is_contiguous() and not values["amount"].requires_grad:
            return reorder_channels(x, _random_order(values["seed"], x.shape[1]))
        return super().apply(x, values)


@dataclass(frozen=True)
class ChannelDropout(ChannelwiseTransform):
    """Replace some channels, picked by the draw's seed, by a constant.

    :param fill: the constant, in units of [0, 1].
    :param count: how many channels, an int >= 1; images must have at least as many.
    :raises ValueError: for another ``count``.
    """

    fill: Range = Uniform(0.0, 1.0)
    count: int = 1
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"fill": "intensity"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.count, int) or isinstance(self.count, bool) or self.count < 1:
            raise ValueError(f"count must be an int > 0, got {self.count!r}")

    def check_channels(self, channels: int) -> None:
        if self.count > channels:
            raise ValueError(f"count must be at most {channels}, the number of channels of x, got {self.count}")

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        gains, offset = self.scaling(values, frame)
        return torch.cat((torch.diag_embed(gains), offset[:, :, None]), dim=2)

    def scaling(self, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        self.check_channels(frame.channels)
        fill = values["fill"][:, None]
        # The entry of each channel in a random order is a random rank without ties.
        kept = (_random_order(values["seed"], frame.channels) >= self.count).to(fill.dtype)
        return kept, torch.addcmul(fill, kept, fill, value=-1)


@dataclass(frozen=True)
class RGBShift(ColorTransform):
    """Add a constant of its own to each channel of an RGB image.

    :param red: what red gains, in units of [0, 1].
    :param green: what green gains, in units of [0, 1].
    :param blue: what blue gains, in units of [0, 1].
    """

    red: Range = Uniform(-0.1, 0.1)
    green: Range = Uniform(-0.1, 0.1)
    blue: Range = Uniform(-0.1, 0.1)
    units: ClassVar[Mapping[str, str]] = {"red": "intensity", "green": "intensity", "blue": "intensity"}

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        self.check_channels(frame.channels)
        same, only_offset = (
            constant(pattern(3), values["red"].dtype, values["red"].device) for pattern in (unchanged, one_offset)
        )
        matrix: Tensor = same + _shift(values)[:, :, None] * only_offset
        return matrix

    def apply(self, x: Tensor, values: Values) -> Tensor:
        self.check_channels(x.shape[1])
        if is_channels_last(x):  # a sum of so short an innermost axis is slower than the matrix product
            return super().apply(x, values)
        shifted: Tensor = x + _shift(values)[:, :, None, None]
        return shifted


def _shift(values: Values) -> Tensor:
    return torch.stack((values["red"], values["green"], values["blue"]), dim=1)


def reorder_channels(x: Tensor, order: Tensor) -> Tensor:
    """Copy channel ``order[b, c]`` of image b to its channel c, for contiguous ``x`` (B, C, H, W)."""
    planes = (order + _first_planes(len(x), x.shape[1], x.device)).view(-1)
    return reordered(x.view(len(planes), -1), planes).view_as(x)


def _random_order(seeds: Tensor, count: int) -> Tensor:
    """A random permutation of 0 .. count - 1 for each of ``seeds`` (B,), (B, count).

    Few channels have few orders: a hash of the seed (multiply, fold, multiply) picks one from the list of all. More are
    put in order by sorting hashes: the hash is one-to-one on 64 bits, so the ``count`` hashes of a seed differ and the
    order is never a matter of ties.
    """
    if count <= _LISTED:
        orders = _all_orders(count, seeds.device)
        bits = seeds * GOLDEN
        bits = (bits ^ (bits >> 32)) * _ODD
        # Of the 24 highest bits, signed: the orders are equally likely up to one part in 100,000.
        return orders.index_select(0, (bits >> 40).remainder_(len(orders)))
    return permutations(seeds, count)


@lru_cache(maxsize=64)
def _all_orders(count: int, device: torch.device) -> Tensor:
    """Every permutation of 0 .. count - 1, copied to the device once."""
    with torch.inference_mode(False):
        return torch.tensor(list(itertools.permutations(range(count))), device=device)


@lru_cache(maxsize=64)
def _places(count: int, device: torch.device) -> Tensor:
    """0 .. count - 1, copied to the device once."""
    with torch.inference_mode(False):
        return torch.arange(count, device=device)


@lru_cache(maxsize=64)
def _first_planes(batch: int, channels: int, device: torch.device) -> Tensor:
    """The index of the first channel of each image among all planes, (B, 1)."""
    with torch.inference_mode(False):
        return torch.arange(0, batch * channels, channels, device=device)[:, None]

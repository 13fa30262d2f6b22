"""Random fields that depend on the image's seed and the pixel's index alone.

A counter-based hash in int32 arithmetic, which wraps alike on every device: the same integers everywhere, for a single
image as for a whole batch, in any order.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# On the CPU the many elementwise passes stay in the cache if they run over blocks of at most this many hashes.
BLOCK = 1 << 17


def normal_field(seeds: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal noise, (B, size), from ``seeds`` (B,) int64.

    Every hash of 32 bits gives two values by the Box-Muller transform: the lower 16 bits the radius, the upper ones the
    angle. The largest magnitude is sqrt(2 log 2^17) = 4.85, which a normal exceeds once in 800,000 numbers.
    """
    pairs = (size + 1) // 2
    field = torch.empty(len(seeds), 2 * pairs, dtype=dtype, device=seeds.device)
    blocks = max(1, min(len(seeds), len(seeds) * pairs // BLOCK)) if seeds.device.type == "cpu" else 1
    progressions = zip(*(numbers.tensor_split(blocks) for numbers in _progressions(seeds)), strict=True)
    index = torch.arange(pairs, dtype=torch.int32, device=seeds.device)
    for block, (odd, offset) in zip(field.tensor_split(blocks), progressions, strict=True):
        bits = _scramble((index * odd).add_(offset))
        angle = bits.to(dtype).mul_(math.pi * 2.0**-31)
        # Half a step above zero: the logarithm stays finite and the two ends are treated alike.
        radius = bits.bitwise_and_(0xFFFF).to(dtype).add_(0.5).mul_(2.0**-16).log_().mul_(-2).sqrt_()
        torch.mul(torch.cos(angle), radius, out=block[:, :pairs])
        torch.mul(angle.sin_(), radius, out=block[:, pairs:])
    return field[:, :size]


def hash_field(seeds: Tensor, size: int) -> Tensor:
    """Uniform random bits as int32, (B, size): a hash of (seed, index) for ``seeds`` (B,) int64."""
    odd, offset = _progressions(seeds)
    index = torch.arange(size, dtype=torch.int32, device=seeds.device)
    blocks = max(1, min(len(seeds), len(seeds) * size // BLOCK)) if seeds.device.type == "cpu" else 1
    if blocks == 1:
        return _scramble((index * odd).add_(offset))
    bits = torch.empty(len(seeds), size, dtype=torch.int32, device=seeds.device)
    for block, *numbers in zip(*(tensor.tensor_split(blocks) for tensor in (bits, odd, offset)), strict=True):
        _scramble(torch.mul(index, numbers[0], out=block).add_(numbers[1]))
    return bits


def uniform_field(seeds: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform noise on (0, 1), (B, size), from ``seeds`` (B,) int64: the midpoints of 2^23 cells."""
    cells = hash_field(seeds, size).bitwise_right_shift_(9).bitwise_and_((1 << 23) - 1)
    return cells.to(dtype).add_(0.5).mul_(2.0**-23)


def _progressions(seeds: Tensor) -> tuple[Tensor, Tensor]:
    """What each seed counts by: (B, 1) odd steps and offsets of an arithmetic progression modulo 2^32."""
    mixed = mix64(seeds)[:, None]
    return (mixed & 0xFFFFFFFF).to(torch.int32).bitwise_or_(1), (mixed >> 32).to(torch.int32)


def _scramble(bits: Tensor) -> Tensor:
    """Hash int32 numbers in place: "lowbias32" by Chris Wellons (https://nullprogram.com/blog/2018/07/31/)."""
    shifted = torch.empty_like(bits)
    # ">>" keeps the sign, so the bits it drags in are masked off. The multipliers are 0x7feb352d and 0x846ca68b.
    for distance, multiplier in ((16, 0x7FEB352D), (15, 0x846CA68B - (1 << 32)), (16, None)):
        torch.bitwise_right_shift(bits, distance, out=shifted)
        bits.bitwise_xor_(shifted.bitwise_and_((1 << (32 - distance)) - 1))
        if multiplier is not None:
            bits.mul_(multiplier)
    return bits


def member_seeds(seeds: Tensor, index: int) -> Tensor:
    """Other seeds for the transform at ``index``, so that two noises in one pipeline are independent.

    A step of a linear congruential generator (Knuth's MMIX multiplier): unlike a sum, it tells member 0 of member 1
    from member 1 of member 0. The fields scramble it.
    """
    step = (index + 1) * 0x9E3779B97F4A7C15 % (1 << 64)  # multiples of 2^64 / golden ratio are spread evenly
    return seeds * 6364136223846793005 + (step - (1 << 64) if step >> 63 else step)


def mix64(seeds: Tensor) -> Tensor:
    """Scramble int64 ``seeds`` with the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, "mix13")."""
    bits = seeds
    for distance, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ ((bits >> distance) & ((1 << (64 - distance)) - 1))) * (multiplier - (1 << 64))
    return bits ^ ((bits >> 31) & ((1 << 33) - 1))

"""Hashes, and the noise made of them, on any device with the same bits: integer arithmetic that wraps.

Few numbers on the CPU are hashed by NumPy, which is entered faster than torch and shifts unsigned numbers.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# The increment of SplitMix64: multiples of 2^64 / golden ratio are spread evenly.
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
# What SplitMix64 ends with (Steele, Lea and Flood, OOPSLA 2014, "mix13"): shifts, multipliers, and a last shift.
MIX13, LAST_SHIFT = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)), 31
# "lowbias32" by Chris Wellons (https://nullprogram.com/blog/2018/07/31/): the same for 32 bits.
LOWBIAS32 = ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None))
# On the CPU the many elementwise passes stay in the cache if they run over blocks of at most this many hashes.
HASH_BLOCK = 1 << 17
# So many hashes at most are left to NumPy.
NUMPY_HASHES = 1 << 12
# The same constants as NumPy's operators take them fastest.
MIX13_ARRAYS = tuple((np.array(d, np.uint64), np.array(m, np.uint64)) for d, m in (*MIX13, (LAST_SHIFT, 1)))
LOWBIAS32_ARRAYS = tuple((np.array(d, np.uint32), np.array(m or 1, np.uint32)) for d, m in LOWBIAS32)
UPPER_HALF, ODD, CELL_BITS = np.array(32, np.uint64), np.array(1, np.uint32), np.array(9, np.uint32)


def wrapped(number: int) -> int:
    """A Python integer as int64 arithmetic, which wraps, would have it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def mix64(numbers: Tensor) -> Tensor:
    """Scramble int64 ``numbers`` with the finalizer of SplitMix64, which is one-to-one."""
    if few(numbers, numbers.numel()):
        return torch.from_numpy(_mixed(numbers.numpy().astype(np.uint64)).view(np.int64))
    bits = numbers
    for distance, multiplier in MIX13:
        bits = (bits ^ ((bits >> distance) & ((1 << (64 - distance)) - 1))) * (multiplier - (1 << 64))
    return bits ^ ((bits >> LAST_SHIFT) & ((1 << (64 - LAST_SHIFT)) - 1))


def numbered(keys: Tensor | int, number: Tensor | int) -> Tensor:
    """The ``number``-th (B,) random number of the streams ``keys``, int64 (SplitMix64); one of the two is a tensor."""
    if isinstance(number, int):
        return mix64(keys + wrapped((number + 1) * GOLDEN))  # type: ignore[arg-type]
    if isinstance(keys, int):
        return mix64(number * GOLDEN + wrapped(keys + GOLDEN))
    return mix64((number + 1) * GOLDEN + keys)


def mix64_of_int(number: int) -> int:
    """:func:`mix64` of a Python integer modulo 2^64, in [0, 2^64)."""
    bits = number % (1 << 64)
    for distance, multiplier in MIX13:
        bits = (bits ^ bits >> distance) * multiplier % (1 << 64)
    return bits ^ bits >> LAST_SHIFT


def hash_field(seeds: Tensor, size: int) -> Tensor:
    """Uniform random bits as int32, (B, size): a hash of (seed, index) for ``seeds`` (B,) int64."""
    return words(mix64(seeds), size)


def words(keys: Tensor, size: int) -> Tensor:
    """Uniform random bits as int32, (B, size), of ``keys`` (B,) int64 that are hashes already."""
    if few(keys, len(keys) * size):
        return torch.from_numpy(_words(keys.numpy().view(np.uint64), size).view(np.int32))
    odd, offset = progressions(keys)
    index = torch.arange(size, dtype=torch.int32, device=keys.device)
    blocks = max(1, min(len(keys), len(keys) * size // HASH_BLOCK)) if keys.device.type == "cpu" else 1
    if blocks == 1:
        return scramble((index * odd).add_(offset))
    bits = torch.empty(len(keys), size, dtype=torch.int32, device=keys.device)
    for block, *numbers in zip(*(tensor.tensor_split(blocks) for tensor in (bits, odd, offset)), strict=True):
        scramble(torch.mul(index, numbers[0], out=block).add_(numbers[1]))
    return bits


def unit_words(keys: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform numbers in (0, 1), (B, size), of ``keys`` (B,) that are hashes already: the midpoints of 2^23 cells."""
    if few(keys, len(keys) * size) and dtype == torch.float32:
        cells = _words(keys.numpy().view(np.uint64), size)
        unit = np.right_shift(cells, CELL_BITS, out=cells).astype(np.float32)
        return torch.from_numpy(np.multiply(np.add(unit, np.float32(0.5), out=unit), np.float32(2.0**-23), out=unit))
    bits = words(keys, size).bitwise_right_shift_(9).bitwise_and_((1 << 23) - 1)
    return bits.to(dtype).add_(0.5).mul_(2.0**-23)


def uniform_field(seeds: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform noise on (0, 1), (B, size), from ``seeds`` (B,) int64: the midpoints of 2^23 cells."""
    return unit_words(mix64(seeds), size, dtype)


def normal_field(seeds: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal noise, (B, size), from ``seeds`` (B,) int64.

    Every hash of 32 bits gives two values by the Box-Muller transform: the lower 16 bits the radius, the upper ones the
    angle. The largest magnitude is sqrt(2 log 2^17) = 4.85, which a normal exceeds once in 800,000 numbers.
    """
    pairs = (size + 1) // 2
    field = torch.empty(len(seeds), 2 * pairs, dtype=dtype, device=seeds.device)
    blocks = max(1, min(len(seeds), len(seeds) * pairs // HASH_BLOCK)) if seeds.device.type == "cpu" else 1
    parts = zip(*(numbers.tensor_split(blocks) for numbers in progressions(mix64(seeds))), strict=True)
    index = torch.arange(pairs, dtype=torch.int32, device=seeds.device)
    for block, (odd, offset) in zip(field.tensor_split(blocks), parts, strict=True):
        bits = scramble((index * odd).add_(offset))
        angle = bits.to(dtype).mul_(math.pi * 2.0**-31)
        # Half a step above zero: the logarithm stays finite and the two ends are treated alike.
        radius = bits.bitwise_and_(0xFFFF).to(dtype).add_(0.5).mul_(2.0**-16).log_().mul_(-2).sqrt_()
        torch.mul(torch.cos(angle), radius, out=block[:, :pairs])
        torch.mul(angle.sin_(), radius, out=block[:, pairs:])
    return field[:, :size]


def member_seeds(seeds: Tensor, index: int) -> Tensor:
    """Other seeds for the transform at ``index``, so that two noises in one pipeline are independent.

    A step of a linear congruential generator (Knuth's MMIX multiplier): unlike a sum, it tells member 0 of member 1
    from member 1 of member 0. The fields scramble it.
    """
    return seeds * 6364136223846793005 + wrapped((index + 1) * GOLDEN)


def progressions(keys: Tensor) -> tuple[Tensor, Tensor]:
    """What each key counts by: (B, 1) odd steps and offsets of an arithmetic progression modulo 2^32."""
    column = keys[:, None]
    return (column & 0xFFFFFFFF).to(torch.int32).bitwise_or_(1), (column >> 32).to(torch.int32)


def scramble(bits: Tensor) -> Tensor:
    """Hash int32 numbers in place by :data:`LOWBIAS32`."""
    shifted = torch.empty_like(bits)
    for distance, multiplier in LOWBIAS32:
        # ">>" keeps the sign, so the bits it drags in are masked off.
        torch.bitwise_right_shift(bits, distance, out=shifted)
        bits.bitwise_xor_(shifted.bitwise_and_((1 << (32 - distance)) - 1))
        if multiplier is not None:
            bits.mul_(multiplier - (multiplier >> 31 << 32))
    return bits


def few(numbers: Tensor, hashes: int) -> bool:
    """Whether so many ``hashes`` of ``numbers`` are made sooner by NumPy."""
    return hashes <= NUMPY_HASHES and numbers.is_cpu and not torch.compiler.is_compiling()


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """:func:`mix64` of NumPy's numbers, in place."""
    shifted = np.empty_like(bits)
    for distance, multiplier in MIX13_ARRAYS:
        np.right_shift(bits, distance, out=shifted)
        np.bitwise_xor(bits, shifted, out=bits)
        np.multiply(bits, multiplier, out=bits)
    return bits


def _words(keys: NDArray[np.uint64], size: int) -> NDArray[np.uint32]:
    """:func:`words` of NumPy's numbers."""
    odd, offset = keys.astype(np.uint32), (keys >> UPPER_HALF).astype(np.uint32)
    bits = np.arange(size, dtype=np.uint32) * np.bitwise_or(odd, ODD, out=odd)[:, None]
    np.add(bits, offset[:, None], out=bits)
    shifted = np.empty_like(bits)
    for distance, multiplier in LOWBIAS32_ARRAYS:
        np.right_shift(bits, distance, out=shifted)
        np.bitwise_xor(bits, shifted, out=bits)
        np.multiply(bits, multiplier, out=bits)
    return bits

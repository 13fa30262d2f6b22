"""Random numbers that are pure functions of (seed, purpose, sample, restart or draw): there is no generator.

No state could pass from one image to the next, so neither batch size nor order, neither chunks nor processes, nor what
ran before changes what an image meets. A path of numbers becomes a key, an int64: :func:`keys_of` makes one for each
sample, :func:`derive` goes on from them, :func:`key_of` does the same on the host. Keys (B,) become numbers (B, *shape)
on their device: :func:`uniform`, :func:`normal`, :func:`integers`, :func:`permutations`. Two kinds of numbers of one
key are not independent of each other; those of two keys are. Hashes are in integer arithmetic, which wraps alike on
every device.

Where images come without ids, a running count stands for them: see :class:`art_domainrand.core.streams.Stream`.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.hashing import GOLDEN, mix64_of_int, wrapped
from art_domainrand.core.hashing import hash_field as hash_field
from art_domainrand.core.hashing import member_seeds as member_seeds
from art_domainrand.core.hashing import mix64 as mix64
from art_domainrand.core.hashing import normal_field as normal_field
from art_domainrand.core.hashing import numbered as numbered
from art_domainrand.core.hashing import uniform_field as uniform_field

# What the numbers of a key are for; the same number never means two things.
# Attacks: where they start, what a step sees, who judges, the clean image, directions to climb.
START, STEP, JUDGE, CLEAN, CLIMB = range(5)
# Data: the draw of a pipeline, a common corruption, the mapping into a domain, a copy in a folder, a mixing of images.
DRAW, CORRUPT, DOMAIN, AUGMENT, MIX = range(5, 10)
# Training: the order of an epoch, which images are changed, the attack, what workers read, what global generators get.
ORDER, CHOICE, ATTACK, READ, GLOBAL = range(10, 15)
# Streams that branch off: copies of an object, workers of a loader, forks, processes of a distributed run.
COPY, WORKER, FORK, RANK = range(15, 19)
# What only measures: the shift a model is judged under, and trials.
SHIFT, TRIAL = range(19, 21)
# Of a training run, all that an epoch draws.
EPOCH = 21
# What a search without gradients tries next.
PROPOSE = 22
# Which images of a validation domain a step of learned ranges looks at.
META = 23
# Which images learned ranges leave to the pipeline's own law.
KEEP = 24

# How many pixels are hashed at a time.
HASHED = 1 << 22


def image_keys(x: Tensor) -> Tensor:
    """A key for each image of ``x`` (B, ...), float32: a hash of its pixels and of how often they came before.

    So an image has its key whatever else is attacked with it, and copies of an image have different ones.
    """
    bits = x.detach().flatten(1).contiguous().view(torch.int32)
    features = bits.shape[1]
    weights = mix64(torch.arange(1, features + 1, device=x.device)) | 1  # odd: no change of a pixel is lost
    keys = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    rows = max(1, HASHED // max(1, features))
    for first in range(0, len(x), rows):
        keys[first : first + rows] = (bits[first : first + rows].long() * weights).sum(1)
    return numbered(mix64(keys), times_before(keys))


def times_before(keys: Tensor) -> Tensor:
    """How often each of ``keys`` (N,) stands earlier in them."""
    order = keys.argsort(stable=True)
    place = torch.arange(len(keys), device=keys.device)
    first = torch.ones_like(place, dtype=torch.bool)
    first[1:] = keys[order][1:] != keys[order][:-1]
    run = torch.where(first, place, 0).cummax(0).values if len(keys) else place
    return torch.empty_like(place).scatter_(0, order, place - run)


def derive(keys: Tensor, *numbers: Tensor | int) -> Tensor:
    """Other keys, one for each path of numbers."""
    for number in numbers:
        keys = numbered(keys, number)
    return keys


def seeds_of(keys: Tensor) -> Tensor:
    """Seeds of pixel fields, in [0, 2^63)."""
    return mix64(keys) & ((1 << 63) - 1)


def fresh_seed() -> int:
    """A seed in [0, 2^63) from the operating system."""
    return secrets.randbits(63)


def checked_seed(seed: Any) -> int:
    """``seed`` as a Python integer, a fresh one for None.

    :raises ValueError: for anything else but an int >= 0.
    """
    if seed is None:
        return fresh_seed()
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be None or an int >= 0, got {seed!r}")
    return int(seed)


def key_of(seed: int, *path: int) -> int:
    """The key of a ``seed`` and a ``path`` of numbers, such as a purpose and an epoch, in the range of int64.

    :param seed: Any integer. Those of more than 64 bits are a path of words, which no shorter seed begins with.
    """
    words = [seed >> shift for shift in range(0, max(1, seed.bit_length()), 64)]
    key = len(words) - 1
    for number in (*words, *path):
        key = wrapped(mix64_of_int(key + (number + 1) * GOLDEN))
    return key


def seed_of(seed: int, *path: int) -> int:
    """A seed in [0, 2^63) for what makes its numbers on its own, independent of those of all other paths."""
    return mix64_of_int(key_of(seed, *path)) & ((1 << 63) - 1)


def keys_of(seed: int, purpose: int, samples: Tensor, *path: Tensor | int) -> Tensor:
    """The key of each sample, (B,) int64, on the device of ``samples``.

    :param seed: An integer >= 0.
    :param purpose: What the numbers are for, one of the constants of this module.
    :param samples: (B,) int64, what the samples are known by: their place in the data, say, or a running count.
    :param path: Restart, draw, epoch and the like, for all of them or (B,) one for each.
    """
    return derive(numbered(key_of(seed, purpose), samples), *path)


def name_id(name: str) -> int:
    """What a sample with a name, such as the path of a file, is known by: 64 bits of SHA-256, in the range of int64."""
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8], "big", signed=True)


def normal(keys: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers (B, *shape), float32."""
    return normal_field(keys, count(shape)).reshape(len(keys), *shape)


def uniform(keys: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Uniform numbers in (0, 1), (B, *shape), float32: neither end occurs."""
    return uniform_field(keys, count(shape)).reshape(len(keys), *shape)


def integers(keys: Tensor, shape: tuple[int, ...], high: int) -> Tensor:
    """Integers from 0 to ``high`` - 1, (B, *shape) int64.

    Remainders of 63 bits: of two numbers none is likelier than the other by more than one part in 2^63 / ``high``.

    :raises ValueError: unless ``high`` is an int from 1 to 2^63 - 1.
    """
    if isinstance(high, bool) or not isinstance(high, (int, np.integer)) or not 1 <= high < 1 << 63:
        raise ValueError(f"high must be an int from 1 to 2^63 - 1, got {high!r}")
    halves = hash_field(keys, 2 * count(shape)).view(len(keys), -1, 2).long()
    bits = (halves[..., 0] & 0x7FFFFFFF) << 32 | (halves[..., 1] & 0xFFFFFFFF)
    return bits.remainder_(int(high)).reshape(len(keys), *shape)


def permutations(keys: Tensor, size: int) -> Tensor:
    """A random order of 0 to ``size`` - 1 for each key, (B, size) int64.

    Hashes are sorted; as the hash is one-to-one on 64 bits, those of one key all differ, and no tie is left to chance.
    """
    place = torch.arange(size, dtype=torch.int64, device=keys.device)
    return mix64(keys[:, None] + place * GOLDEN).argsort(dim=1)


def count(shape: tuple[int, ...]) -> int:
    """How many numbers an image of ``shape`` holds."""
    return int(torch.Size(shape).numel())

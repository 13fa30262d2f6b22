"""What there is to do in an evaluation, in parts that are done one by one, anywhere and in any order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from art_domainrand.core.random import ORDER, key_of, permutations
from art_domainrand.evaluation.conditions.kinds import Condition, eps_of, with_eps

BLOCK_SIZE = 256
"""How many samples are worked on together."""

DIAGNOSED = 100
"""How many samples a diagnosis looks at."""

BLOCK_BYTES = 1 << 26
"""How many bytes of float32 pixels these have at most: 64 MiB."""

CPU_BATCH_BYTES = 1 << 24
"""How many bytes of pixels a model is shown at a time on a processor, whose memory ends in the death of the process."""


@dataclass(frozen=True)
class Unit:
    """One model in one family of conditions on one block of samples; without conditions, its diagnosis.

    :param number: its place among the units.
    :param block: the place of its block.
    :param model: the place of its model.
    :param family: the places of its conditions.
    """

    number: int
    block: int
    model: int
    family: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """All units of an evaluation, the samples of one block after another's.

    The partition depends on the data and the conditions alone, never on who works on it.

    :param samples: the places in the data of the samples that are judged, ascending.
    :param block_size: how many of them make a block.
    :param models: how many models there are.
    :param families: the places of the conditions that differ in eps alone, family by family.
    :param diagnosed: whether each model is diagnosed, too.
    """

    samples: NDArray[np.int64]
    block_size: int
    models: int
    families: tuple[tuple[int, ...], ...]
    diagnosed: bool = False

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return math.ceil(len(self.samples) / self.block_size)

    def samples_of(self, block: int) -> NDArray[np.int64]:
        """The places in the data of the samples of a block; behind the last one are those of a diagnosis."""
        if block == self.blocks:
            return self.samples[:DIAGNOSED]
        return self.samples[block * self.block_size : (block + 1) * self.block_size]

    @property
    def units(self) -> tuple[Unit, ...]:
        """What there is to do."""
        parts = [
            (block, model, family)
            for block in range(self.blocks)
            for model in range(self.models)
            for family in self.families
        ]
        parts += [(self.blocks, model, ()) for model in range(self.models if self.diagnosed else 0)]
        return tuple(Unit(number, *part) for number, part in enumerate(parts))


def families_of(conditions: Sequence[Condition]) -> tuple[tuple[int, ...], ...]:
    """The places of the conditions that differ in eps alone, in order of appearance; every other one is by itself."""
    families: list[tuple[Condition | None, list[int]]] = []
    for place, condition in enumerate(conditions):
        kind = None if eps_of(condition) is None else with_eps(condition, 0.0)
        known = [members for other, members in families if kind is not None and kind == other]
        if known:
            known[0].append(place)
        else:
            families.append((kind, [place]))
    return tuple(tuple(members) for _, members in families)


def chosen_samples(n: int, limit: int | None, seed: int) -> NDArray[np.int64]:
    """The places of at most ``limit`` of ``n`` samples, a choice that the seed determines, ascending."""
    if limit is None or limit >= n:
        return np.arange(n)
    order = permutations(torch.tensor([key_of(seed, ORDER)]), n)[0, :limit]
    return order.sort().values.numpy()


def block_size_of(pixels: int) -> int:
    """How many images of so many numbers make a block: a power of two, at most :data:`BLOCK_SIZE`."""
    return fitting(BLOCK_BYTES, pixels, BLOCK_SIZE)


def batch_size_of(pixels: int, block_size: int, device: str) -> int:
    """How many images a model is shown at a time where the user does not say: a block, fewer large ones on a CPU."""
    return block_size if device != "cpu" else fitting(CPU_BATCH_BYTES, pixels, block_size)


def fitting(size: int, pixels: int, most: int) -> int:
    """The power of two of images that so many bytes hold, from 1 to ``most``."""
    images = size // (4 * max(1, pixels))
    return min(most, 1 << max(0, images.bit_length() - 1))

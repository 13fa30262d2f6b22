"""Conditions that search for the worst: draws of a pipeline, and draws and pixels together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from art_domainrand.core.random import ATTACK, seed_of
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.performance import Changed, Performance, spelt_out


def find_worst(performance: Performance, block: Block, make: Callable[[int], Any]) -> Changed:
    """The images of the worst draws that an attack finds, for the samples that are right; the others stay as they are.

    :param performance: who judges.
    :param block: the samples.
    :param make: the attack from its seed.
    """
    clean, passes = performance.verdict(block)
    (attacked,) = np.nonzero(clean.right.any(0))
    images = block.x.copy()
    if not len(attacked):
        return Changed(images, block.x, passes)
    some = block.take(attacked)
    attack = make(seed_of(block.seed, ATTACK, *performance.path))
    found, taken = performance.meter.measured(lambda: attack.find(some.x, some.y), len(attacked))
    images[attacked] = found.images
    places = {int(place): i for i, place in enumerate(attacked)}

    def words(place: int) -> str:
        return spelt_out("", found.describe(places[place])) if place in places else ""

    return Changed(images, block.x, passes + taken.spread(attacked, len(block)), words)

"""Conditions that search for the worst: draws of a pipeline, and draws and pixels together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from art_domainrand.attacks.composite import CompositeAttack
from art_domainrand.attacks.domain import DomainAttack
from art_domainrand.attacks.findings import Findings
from art_domainrand.core.random import ATTACK, seed_of
from art_domainrand.evaluation.conditions.kinds import NORMS, Composite, DomainAttacked
from art_domainrand.evaluation.running.block import Block, Changed, Draws, Performance
from art_domainrand.evaluation.running.changes import pipeline_of, spelt_out


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
    assert isinstance(found, Findings)
    images[attacked] = found.images
    places = {int(place): i for i, place in enumerate(attacked)}

    def words(place: int) -> str:
        return spelt_out("", found.describe(places[place])) if place in places else ""

    return Changed(images, block.x, passes + taken.spread(attacked, len(block)), words)


def attack_domain(performance: Performance, family: Sequence[DomainAttacked], block: Block) -> list[Draws]:
    """The worst draw of a pipeline."""

    def made(condition: DomainAttacked) -> Changed:
        return find_worst(
            performance,
            block,
            lambda seed: DomainAttack(
                performance.estimator,
                pipeline_of(condition.pipeline),
                block.batch_size,
                verbose=False,
                evaluations=condition.evaluations,
                early_stop=True,
                seed=seed,
            ),
        )

    return [[made(condition)] for condition in family]


def attack_both(performance: Performance, family: Sequence[Composite], block: Block) -> list[Draws]:
    """The worst draw and the worst pixels."""

    def made(condition: Composite) -> Changed:
        return find_worst(
            performance,
            block,
            lambda seed: CompositeAttack(
                performance.estimator,
                pipeline_of(condition.pipeline),
                NORMS[condition.norm],
                condition.eps,
                condition.max_iter,
                block.batch_size,
                verbose=False,
                order=condition.order,
                evaluations=condition.evaluations,
                early_stop=True,
                seed=seed,
            ),
        )

    return [[made(condition)] for condition in family]

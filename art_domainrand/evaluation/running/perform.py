"""Conditions performed on a block of samples, and the rows of the outcome table that this fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.checks import Text, check_counts, require
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.random import ATTACK, GLOBAL, seed_of
from art_domainrand.estimators.state import left_as_found
from art_domainrand.evaluation.conditions.kinds import NORMS, Attacked, Clean, Condition, attack_name
from art_domainrand.evaluation.evaluation import Sample
from art_domainrand.evaluation.outcomes import OUTCOME
from art_domainrand.evaluation.running.attacks import attack_entry, examples, make_attack, warn_of_radius
from art_domainrand.evaluation.running.block import Block, Changed
from art_domainrand.evaluation.running.curve import curve, lengths
from art_domainrand.evaluation.running.judge import Judge, Verdict
from art_domainrand.evaluation.running.kept import kept_samples
from art_domainrand.evaluation.running.passes import Meter, Passes


@dataclass(frozen=True, eq=False)
class Performed:
    """What a family of conditions came to on a block.

    :param rows: of :data:`~art_domainrand.evaluation.outcomes.OUTCOME`: model 0, and for the condition its place in the
        family.
    :param samples: images that were right before and wrong after, those broken at the smallest distance; their model
        is "", and their condition the name that it gives itself.
    """

    rows: NDArray[Any]
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Performance:
    """Who judges, who counts, and where a condition stands in a chain of them.

    :param judge: asks the model.
    :param meter: counts passes.
    :param path: numbers that tell this step from others of the same chain, and the draw of the step before.
    """

    judge: Judge
    meter: Meter
    path: tuple[int, ...] = ()


Draws: TypeAlias = list[Changed]
Performer: TypeAlias = Callable[[Performance, Sequence[Any], Block], list[Draws]]
"""From a family and a block to the images of each draw, for each condition of the family."""


def keep_clean(performance: Performance, family: Sequence[Clean], block: Block) -> list[Draws]:
    """The images as they are."""
    return [[Changed(block.x, block.x, Passes.none(len(block)))] for _ in family]


def attack_along(performance: Performance, family: Sequence[Attacked], block: Block) -> list[Draws]:
    """One attack at every radius of the family."""
    first, estimator = family[0], performance.judge.estimator
    entry, name = attack_entry(first), attack_name(first.attack)
    seed = seed_of(block.seed, ATTACK, *performance.path)
    for condition in family:
        warn_of_radius(condition, getattr(estimator, "clip_values", None))

    def attack(some: Block, eps: float) -> Any:
        made = make_attack(first, estimator, eps, seed=seed, batch_size=some.batch_size)
        # What draws from the global generators is told the samples, so that two blocks do not meet the same numbers.
        with seeded_global_rng(seed_of(seed, GLOBAL, int(some.samples[0]))):
            return examples(made, some.x, some.y, name)

    radii = [condition.eps for condition in family]
    found = curve(
        attack, performance.judge, performance.meter, block, radii, order=NORMS[first.norm], nearest=entry.nearest
    )
    return [[changed] for changed in found]


PERFORMERS: dict[type[Condition], Performer] = {Clean: keep_clean, Attacked: attack_along}
"""Kind of condition -> what performs it."""


def perform(
    estimator: Any,
    family: Sequence[Condition],
    block: Block,
    *,
    classes: Sequence[str],
    predictions: int = 1,
    keep: int = 0,
) -> Performed:
    """Perform conditions that differ in nothing but eps, or a single one, on a block of samples.

    What comes out is a function of the arguments alone: the estimator and the global generators are left as found, and
    what ran before does not count.

    :param estimator: any ART classifier.
    :param family: the conditions.
    :param block: the samples.
    :param classes: the names of the classes.
    :param predictions: how many predictions of each image a random model makes, rows with draws 0 to predictions - 1
        of each draw of the condition; 1 for a model that is not random.
    :param keep: how many images to keep of each condition.
    :raises ValueError: for a model output that is NaN or of a wrong shape, naming the samples, and for what a condition
        refuses.
    """
    check_counts(predictions=predictions, keep=keep)
    require(predictions >= 1, "predictions", "be >= 1", predictions)
    require(len(family) > 0, "family", "hold a condition", Text("none"))
    judge = Judge(estimator, block.seed, predictions, block.batch_size)
    rows, kept = [], []
    with left_as_found(estimator), seeded_global_rng(seed_of(block.seed, GLOBAL)), Meter(estimator) as meter:
        made = perform_family(Performance(judge, meter), family, block)
        for place, draws in enumerate(made):
            judged = [with_verdict(judge, meter, block, changed) for changed in draws]
            rows.append(rows_of_draws(judged, block, place, predictions))
            if keep:
                kept += kept_samples(judge, judged, rows[-1], family[place], block, classes, keep)
    return Performed(np.concatenate(rows), tuple(kept))


def perform_family(performance: Performance, family: Sequence[Condition], block: Block) -> list[Draws]:
    """The images of each draw for each condition of a family.

    :raises TypeError: for what is no condition of a known kind.
    """
    kinds = {type(condition) for condition in family}
    require(len(kinds) == 1, "family", "be of one kind", Text(", ".join(kind.__name__ for kind in kinds)))
    (kind,) = kinds
    known = [known.__name__ for known in PERFORMERS]
    require(kind in PERFORMERS, "condition", f"be one of {known}", Text(kind.__name__), TypeError)
    return PERFORMERS[kind](performance, family, block)


def with_verdict(judge: Judge, meter: Meter, block: Block, changed: Changed) -> Changed:
    """The same images, judged."""
    if changed.verdict is not None:
        return changed
    verdict, passes = meter.measured(lambda: judge.verdict(changed.images, block.samples, block.y), len(block))
    return replace(changed, verdict=verdict, passes=changed.passes + passes)


def rows_of_draws(judged: Draws, block: Block, place: int, predictions: int) -> NDArray[Any]:
    """The rows of the condition at ``place`` of the family, sample by sample and draw by draw."""
    rows = np.zeros((len(block), len(judged) * predictions), OUTCOME)
    rows["condition"], rows["sample"], rows["label"] = place, block.samples[:, None], block.y[:, None]
    rows["draw"] = np.arange(rows.shape[1])
    for draw, changed in enumerate(judged):
        some = rows[:, draw * predictions : (draw + 1) * predictions]
        verdict = verdict_of(changed)
        for name in ("predicted", "right", "margin", "confidence"):
            some[name] = getattr(verdict, name).T
        difference = changed.images.astype(np.float64) - changed.given
        for name, order in NORMS.items():
            some[name] = lengths(difference, order)[:, None]
        some["forwards"] = changed.passes.forwards[:, None] / predictions
        some["backwards"] = changed.passes.backwards[:, None] / predictions
    return rows.reshape(-1)


def verdict_of(changed: Changed) -> Verdict:
    """What the model said of the images."""
    assert changed.verdict is not None
    return changed.verdict

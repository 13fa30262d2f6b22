"""Conditions performed on a block of samples, and the rows of the outcome table that this fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from art_domainrand.attacks.composite import CompositeAttack
from art_domainrand.attacks.domain import DomainAttack
from art_domainrand.core.checks import Text, check_counts, require
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.random import ATTACK, GLOBAL, seed_of
from art_domainrand.estimators import is_device_estimator
from art_domainrand.estimators.outputs import adapted
from art_domainrand.estimators.state import inner_estimators, left_as_found
from art_domainrand.evaluation.conditions.kinds import (
    Attacked,
    Clean,
    Composite,
    Condition,
    Corrupted,
    Custom,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
    parts_of_condition,
)
from art_domainrand.evaluation.conditions.known import check_condition
from art_domainrand.evaluation.conditions.names import NORMS, attack_name
from art_domainrand.evaluation.evaluation import Sample
from art_domainrand.evaluation.running.attacks import (
    attack_entry,
    clipped_images,
    examples,
    make_attack,
    warn_of_radius,
)
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.changes import corrupt_all, draw_all, map_all, pipeline_of
from art_domainrand.evaluation.running.curve import HowAttacked, attack_down
from art_domainrand.evaluation.running.judge import Judge
from art_domainrand.evaluation.running.kept import kept_samples
from art_domainrand.evaluation.running.passes import Meter, Passes
from art_domainrand.evaluation.running.performance import Changed, Draws, Performance
from art_domainrand.evaluation.running.rows import checked_images, rows_of_draws
from art_domainrand.evaluation.running.searches import find_worst
from art_domainrand.evaluation.running.together import unite

Performer: TypeAlias = Callable[[Performance, Sequence[Any], Block], list[Draws]]
"""From who judges, a family and a block to the images of each draw, for each condition of the family."""


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


def keep_clean(performance: Performance, family: Sequence[Clean], block: Block) -> list[Draws]:
    """The images as they are."""
    return [[Changed(block.x, block.x, Passes.none(len(block)))] for _ in family]


def attack_along(performance: Performance, family: Sequence[Attacked], block: Block) -> list[Draws]:
    """One attack at every radius of the family."""
    first, estimator = family[0], performance.estimator
    entry, name = attack_entry(first), attack_name(first.attack)
    seed = seed_of(block.seed, ATTACK, *performance.path)
    for condition in family:
        warn_of_radius(condition, getattr(estimator, "clip_values", None))

    def attack(some: Block, radius: Any) -> Any:
        alone = np.ndim(radius) == 0 or np.ptp(radius) == 0
        eps = float(np.max(radius)) if alone else np.asarray(radius).reshape(-1, *[1] * (some.x.ndim - 1))
        made = make_attack(first, estimator, eps, seed=seed, batch_size=some.batch_size)
        # What draws from the global generators is told the samples, so that two blocks do not meet the same numbers.
        with seeded_global_rng(seed_of(seed, GLOBAL, int(some.samples[0]))), adapted(estimator):
            return clipped_images(examples(made, some.x, some.y, name), estimator)

    approached = entry.approached and is_device_estimator(estimator)
    how = HowAttacked(NORMS[first.norm], entry.nearest, approached, entry.each)
    radii = [condition.eps for condition in family]
    found = attack_down(attack, performance.judge, performance.meter, block, radii, how)
    return [[changed] for changed in found]


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


def call_custom(performance: Performance, family: Sequence[Custom], block: Block) -> list[Draws]:
    """The images that a function of the user's makes."""

    def made(condition: Custom) -> Changed:
        x, y = block.x.copy(), block.y.copy()
        found, passes = performance.meter.measured(lambda: condition.function(performance.estimator, x, y), len(block))
        return Changed(checked_images(found, block.x, condition.name), block.x, passes)

    return [[made(condition)] for condition in family]


def do_both(performance: Performance, family: Sequence[Then], block: Block) -> list[Draws]:
    """One condition, and on the images of each of its draws the family of the others."""
    (draws,) = perform_family(performance, [family[0].first], block)
    found: list[Draws] = [[] for _ in family]
    for number, before in enumerate(draws):
        seconds = [condition.second for condition in family]
        after = perform_family(performance.after(number), seconds, block.showing(before.images))
        for place, changes in enumerate(after):
            for again, change in enumerate(changes):
                first = place == again == 0  # what the first condition took is counted once
                passes = before.passes + change.passes if first else change.passes
                found[place].append(replace(change, passes=passes, words=joined_words(before, change)))
    return found


def unite_all(performance: Performance, family: Sequence[Union], block: Block) -> list[Draws]:
    """The first of several conditions that breaks a sample."""

    def judged(condition: Condition, some: Block) -> Draws:
        (draws,) = perform_family(performance, [condition], some)
        return [with_verdict(performance.judge, performance.meter, some, changed) for changed in draws]

    return [[unite(condition.conditions, block, judged, performance.judge)] for condition in family]


def joined_words(before: Changed, after: Changed) -> Callable[[int], str]:
    """What two conditions have done to an image, one after the other."""
    return lambda place: "; then ".join(text for text in (before.words(place), after.words(place)) if text)


PERFORMERS: dict[type[Condition], Performer] = {
    Clean: keep_clean,
    Attacked: attack_along,
    Corrupted: corrupt_all,
    InDomain: map_all,
    Randomized: draw_all,
    DomainAttacked: attack_domain,
    Composite: attack_both,
    Then: do_both,
    Union: unite_all,
    Custom: call_custom,
}
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
    for condition in family:
        check_performable(condition)
    judge = Judge(estimator, block.seed, predictions, block.batch_size)
    rows, kept = [], []
    with undisturbed(estimator, block.seed), Meter(estimator) as meter:
        made = perform_family(Performance(judge, meter), family, block)
        for place, draws in enumerate(made):
            judged = [with_verdict(judge, meter, block, changed) for changed in draws]
            rows.append(rows_of_draws(judged, block, place, predictions))
            if keep:
                kept += kept_samples(judge, judged, rows[-1], family[place], block, classes, keep)
    return Performed(np.concatenate(rows), tuple(kept))


def check_performable(condition: Condition) -> None:
    """Refuse a condition that names an attack, an option, a corruption, a domain or a preset that does not exist.

    :param condition: the condition.
    :raises ValueError: with the nearest name; also for a norm that the attack does not search.
    :raises TypeError: for what is no condition of a known kind.
    """
    known = [known.__name__ for known in PERFORMERS]
    require(type(condition) in PERFORMERS, "condition", f"be one of {known}", Text(type(condition).__name__), TypeError)
    for part in parts_of_condition(condition):
        check_performable(part)
    if isinstance(condition, Attacked):
        attack_entry(condition)
    else:
        check_condition(condition)


def perform_family(performance: Performance, family: Sequence[Condition], block: Block) -> list[Draws]:
    """The images of each draw for each condition of a family."""
    kinds = {type(condition) for condition in family}
    require(len(kinds) == 1, "family", "be of one kind", Text(", ".join(kind.__name__ for kind in kinds)))
    (kind,) = kinds
    return PERFORMERS[kind](performance, family, block)


@contextmanager
def undisturbed(estimator: Any, seed: int) -> Iterator[None]:
    """Inside, what is drawn depends on the seed alone, not on what ran before; afterwards all is as it was."""
    with left_as_found(estimator), seeded_global_rng(seed_of(seed, GLOBAL)), ExitStack() as stack:
        for place, one in enumerate(inner_estimators(estimator)):
            for number, operation in enumerate(getattr(one, "preprocessing_operations", None) or []):
                if hasattr(operation, "drawing_from"):
                    stack.enter_context(operation.drawing_from(seed_of(seed, GLOBAL, place, number)))
        yield


def with_verdict(judge: Judge, meter: Meter, block: Block, changed: Changed) -> Changed:
    """The same images, judged."""
    if changed.verdict is not None:
        return changed
    verdict, passes = meter.measured(lambda: judge.verdict(changed.images, block.samples, block.y), len(block))
    return replace(changed, verdict=verdict, passes=changed.passes + passes)

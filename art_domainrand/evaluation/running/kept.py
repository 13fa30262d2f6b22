"""Images to be looked at: right before a condition, wrong after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_domainrand.evaluation.conditions.kinds import Condition, Then
from art_domainrand.evaluation.evaluation import Sample
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.judge import Judge
from art_domainrand.evaluation.running.performance import Changed
from art_domainrand.evaluation.running.unit_images import unit_picture


def kept_samples(
    judge: Judge,
    judged: Sequence[Changed],
    rows: NDArray[Any],
    condition: Condition,
    block: Block,
    classes: Sequence[str],
    keep: int,
) -> list[Sample]:
    """Samples right before and wrong after, those first whose image is nearest to the one it was made of.

    Of several draws the first counts under which the model is wrong.

    :param judge: asks the model about the images as they were.
    :param judged: the images of each draw, with verdicts.
    :param rows: the rows of the condition, (n * draws,), sample by sample.
    :param condition: in whose norm distances are compared, L2 where it has none.
    :param block: the samples.
    :param classes: the names of the classes.
    :param keep: how many at most.
    """
    before = judge.verdict(block.x, block.samples, block.y)
    by_draw = rows.reshape(len(block), -1)
    wrong = ~by_draw["right"]
    broken = before.right[0] & wrong.any(1)
    draw = wrong.argmax(1)
    far = by_draw[compared_in(condition)][np.arange(len(block)), draw]
    (chosen,) = np.nonzero(broken)
    chosen = chosen[np.argsort(far[chosen], kind="stable")][:keep]

    def sample_of(i: int) -> Sample:
        changed = judged[draw[i] // judge.predictions]
        return Sample(
            model="",
            condition=condition.name,
            sample=int(block.samples[i]),
            clean=unit_picture(judge.estimator, block.x[i]),
            changed=unit_picture(judge.estimator, changed.images[i]),
            label=class_named(classes, block.y[i]),
            before=class_named(classes, before.predicted[0, i]),
            after=class_named(classes, by_draw["predicted"][i, draw[i]]),
            words=changed.words(i),
            source=block.sources[i],
        )

    return [sample_of(int(i)) for i in chosen]


def compared_in(condition: Condition) -> str:
    """The norm that a condition's distances are read in."""
    found: str = compared_in(condition.second) if isinstance(condition, Then) else getattr(condition, "norm", "l2")
    return found


def class_named(classes: Sequence[str], place: int) -> str:
    """The name of a class; its number where it has none."""
    return classes[place] if place < len(classes) else f"class {place}"

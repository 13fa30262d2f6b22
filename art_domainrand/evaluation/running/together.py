"""Several conditions as one: of each sample the first that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from art_domainrand.evaluation.conditions.condition import Condition
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.judge import Judge, Judgement
from art_domainrand.evaluation.running.passes import Passes
from art_domainrand.evaluation.running.performance import Changed, Draws

PerformOne: TypeAlias = Callable[[Condition, Block], Draws]
"""From a condition and samples to the images of each draw, with verdicts."""


def unite(conditions: Sequence[Condition], block: Block, perform_one: PerformOne, judge: Judge) -> Changed:
    """The image of each sample that broke it first, in any draw of any condition; else that of least margin.

    Each condition is performed on the samples that are left. Where predictions vary, on all of them: then what a model
    draws for a sample may depend on those beside it.

    :param conditions: in the order in which they are performed.
    :param block: the samples.
    :param perform_one: performs one of them.
    :param judge: says how often the model is asked.
    """
    n, everyone = len(block), np.arange(len(block))
    images, given, passes = block.x.copy(), block.x.copy(), Passes.none(n)
    words = [""] * n
    blank = np.zeros((judge.predictions, n))
    said = Judgement(blank.astype(np.int64), blank.astype(bool), blank, blank.copy())
    broken, met = np.zeros((2, n), bool)
    margin = np.zeros(n)
    for condition in conditions:
        shown = everyone if judge.random else everyone[~broken]
        if not len(shown):
            break
        for changed in perform_one(condition, block.take(shown)):
            verdict = changed.verdict
            assert verdict is not None
            fell = np.any(~verdict.right, axis=0)
            own = np.mean(verdict.margin, axis=0)
            taken = ~broken[shown] & (fell | ~met[shown] | (own < margin[shown]))
            places = shown[taken]
            images[places], given[places] = changed.images[taken], changed.given[taken]
            said.put(places, verdict.take(taken))
            broken[places], margin[places], met[places] = fell[taken], own[taken], True
            passes = passes + changed.passes.spread(shown, n)
            for place, row in zip(places, np.flatnonzero(taken), strict=True):
                words[place] = ": ".join(text for text in (condition.name, changed.words(int(row))) if text)
    return Changed(images, given, passes, lambda place: words[place], verdict=said)

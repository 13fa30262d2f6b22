"""Random defences and random conditions, draw by draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import check_names, counted


@dataclass(frozen=True)
class DrawSummary(SummaryRecord):
    """What a model does over several draws of the same condition.

    :param model: the model's name.
    :param condition: the condition's name.
    :param expected: the accuracy of one draw on average; the interval is that of N images, as the draws of an image are
        not independent.
    :param per_draw: the accuracy of each draw over all samples.
    :param worst_of: at place k - 1, the share of samples that are right in all of the first k draws: what is left of an
        adversary who may ask k times. It never rises with k.
    :param best_of: at place k - 1, the share that is right in at least one of the first k. It never falls with k.
    :param spread: the standard deviation of the accuracies of the draws (ddof 1); 0 for a single draw.
    :param changed: the share of samples that are right in some draw and wrong in another.
    """

    model: str
    condition: str
    expected: Row
    per_draw: tuple[Row, ...]
    worst_of: tuple[Row, ...]
    best_of: tuple[Row, ...]
    spread: float
    changed: float


def draw_summary(evaluation: Evaluation, model: str, condition: str) -> DrawSummary:
    """Expected, worst-of-k, best-of-k and per-draw accuracy of a model in a condition.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param condition: the condition's name; one that was drawn once is a summary of one draw.
    :raises ValueError: for an unknown name.
    """
    check_names("model", [model], evaluation.models)
    check_names("condition", [condition], list(evaluation.conditions))
    right = evaluation.outcomes.right(model, condition)
    per_draw = tuple(counted(model, f"draw {k}", one) for k, one in enumerate(right))
    worst, best = np.logical_and.accumulate(right), np.logical_or.accumulate(right)
    accuracies = right.mean(axis=1)
    return DrawSummary(
        model,
        condition,
        evaluation.accuracy(model, condition),
        per_draw,
        tuple(counted(model, f"worst of {k + 1}", one) for k, one in enumerate(worst)),
        tuple(counted(model, f"best of {k + 1}", one) for k, one in enumerate(best)),
        float(accuracies.std(ddof=1)) if len(right) > 1 else 0.0,
        float((best[-1] & ~worst[-1]).mean()),
    )


def drawn_conditions(evaluation: Evaluation, model: str) -> tuple[str, ...]:
    """The names of the conditions in which a model was judged on more than one draw.

    :param evaluation: the evaluation.
    :param model: the model's name.
    """
    outcomes = evaluation.outcomes
    return tuple(name for name in evaluation.conditions if len(outcomes.of(model, name)) > 1)

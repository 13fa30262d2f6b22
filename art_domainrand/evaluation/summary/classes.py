"""Accuracy class by class, and what may be said of the worst one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency

from art_domainrand.core.checks import require
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import CONFIDENCE, Row, wilson_interval
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import always_right, counted


@dataclass(frozen=True)
class WorstClass(SummaryRecord):
    """The class in which a model is right least often.

    The lowest of K counts is low partly by chance. ``low`` and ``high`` make up for it: Wilson's interval at level
    1 - .05 / K (Bonferroni) covers the accuracy of every class, so also the lowest's, in 95% of all samples.

    :param row: its accuracy over its own images, the class in ``row.cell``, with the interval of a single class.
    :param low: the lower end of the interval that holds for all classes at once.
    :param high: the upper end.
    :param classes: among how many classes it is the lowest.
    :param p: the p-value of equal accuracy in all classes (Pearson's chi-squared test of homogeneity).
    :param highest: the accuracy of the best class.
    """

    row: Row
    low: float
    high: float
    classes: int
    p: float
    highest: float

    @property
    def is_every_class(self) -> bool:
        """Whether no class is better, so that none is to be named."""
        return self.row.accuracy == self.highest

    @property
    def stands_out(self) -> bool:
        """Whether the classes differ by more than chance, at 5%."""
        return self.p < 1 - CONFIDENCE


def class_accuracy(evaluation: Evaluation, model: str, conditions: str | Sequence[str]) -> tuple[Row, ...]:
    """The accuracy of each class that has images, with Wilson's interval; the class is in ``row.cell``.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param conditions: the name of a condition, or of several, in all of which, in every draw, a sample must be right.
    :raises ValueError: for an unknown name.
    """
    names = [conditions] if isinstance(conditions, str) else list(conditions)
    right = always_right(evaluation.outcomes, model, names)
    label = evaluation.outcomes.of(model, names[0])["label"][0]
    return tuple(
        counted(model, evaluation.outcomes.classes[one], right[label == one]) for one in np.unique(label).tolist()
    )


def worst_class(rows: Sequence[Row]) -> WorstClass:
    """The class of least accuracy, the first if there are several.

    :param rows: what :func:`class_accuracy` returned, at least one.
    :raises ValueError: for no row.
    """
    require(len(rows) > 0, "rows", "hold at least one class", len(rows))
    row = min(rows, key=lambda one: one.accuracy)
    low, high = wilson_interval(round(row.accuracy * row.n), row.n, 1 - (1 - CONFIDENCE) / len(rows))
    right = np.array([round(one.accuracy * one.n) for one in rows])
    counts = np.stack([right, np.array([one.n for one in rows]) - right])
    mixed = len(rows) > 1 and bool((counts.sum(axis=1) > 0).all())
    p = float(chi2_contingency(counts, correction=False).pvalue) if mixed else 1.0
    return WorstClass(row, low, high, len(rows), p, max(one.accuracy for one in rows))

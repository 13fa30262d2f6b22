"""The statistics of two vectors of right and wrong over the same samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar

from art_domainrand.evaluation.summary.threats import counted


def exact_p(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The p-value of McNemar's exact test, two-sided."""
    counts = [[int((a & b).sum()) for b in (second, ~second)] for a in (first, ~first)]
    return float(mcnemar(counts, exact=True).pvalue)


def paired_interval(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, float]:
    """Newcombe's 95% interval of the accuracy of the first minus that of the second (1998, method 10).

    :param first: whether each sample is right, (N,).
    :param second: the same of the other.
    """
    n = len(first)
    one, two = counted("", "", first), counted("", "", second)
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    excess = float(both * neither - int((first & ~second).sum()) * int((second & ~first).sum()))
    if excess > 0:  # a correction for continuity, which the intervals of Wilson's lack
        excess = max(excess - n / 2, 0.0)
    spread = math.sqrt(math.prod(int(right.sum()) * int((~right).sum()) for right in (first, second)))
    phi = excess / spread if spread else 0.0
    difference = one.accuracy - two.accuracy

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))

    low = difference - reach(one.accuracy - one.low, two.high - two.accuracy)
    high = difference + reach(one.high - one.accuracy, two.accuracy - two.low)
    return max(low, -1.0), min(high, 1.0)

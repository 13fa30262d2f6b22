"""Models against one another, on the same images."""

from __future__ import annotations

from itertools import combinations

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.summary.compare import Comparison, PairedResult, compare

MOST_PAIRED = 4
"""Of so many models every two are compared; of more, each with the first."""


def comparisons(evaluation: Evaluation) -> tuple[Comparison, ...]:
    """Pairs of models, compared in every condition; none for a single model."""
    models = evaluation.models
    pairs = combinations(models, 2) if len(models) <= MOST_PAIRED else ((models[0], other) for other in models[1:])
    return tuple(compare(evaluation, models=pair) for pair in pairs)


def reading(result: PairedResult, found: Comparison) -> str:
    """What a comparison shows in one condition, in words: which is better, if it is shown."""
    if result not in found.significant:
        return "no difference shown"
    return f"{found.second if result.difference > 0 else found.first} is better"

"""Models against one another, on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.summary.compare import Comparison, PairedResult, compare
from art_domainrand.evaluation.summary.union import Competitiveness, competitiveness

MOST_PAIRED = 4
"""Of so many models every two are compared; of more, each with the first."""


@dataclass(frozen=True)
class ComparisonTable:
    """Two models compared.

    :param found: the numbers, condition by condition.
    :param readings: what each of them shows, in words.
    """

    found: Comparison
    readings: tuple[str, ...]


def comparison_tables(evaluation: Evaluation) -> tuple[ComparisonTable, ...]:
    """Pairs of models, compared in every condition; none for a single model."""
    models = evaluation.models
    pairs = combinations(models, 2) if len(models) <= MOST_PAIRED else ((models[0], other) for other in models[1:])
    tables = (compare(evaluation, models=pair) for pair in pairs)
    return tuple(ComparisonTable(found, tuple(reading(one, found) for one in found.results)) for found in tables)


def beside_the_best(evaluation: Evaluation) -> tuple[tuple[str, Competitiveness], ...]:
    """Each model's accuracy over that of the best model here, over all conditions; none for a single model."""
    if len(evaluation.models) < 2 or not evaluation.outcomes.rows["right"].any():
        return ()
    return tuple((model, competitiveness(evaluation, model)) for model in evaluation.models)


def reading(result: PairedResult, found: Comparison) -> str:
    """What a comparison shows in one condition, in words: which is better, if it is shown."""
    if result not in found.significant:
        return "no difference shown"
    return f"{found.second if result.difference > 0 else found.first} is better"

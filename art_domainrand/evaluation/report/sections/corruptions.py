"""The averages over corruptions that are usually quoted."""

from __future__ import annotations

from dataclasses import dataclass

from art_domainrand.evaluation.corruption_suite import CorruptionReport
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.summary.corruptions import corruption_report
from art_domainrand.randomization.corruptions import COMMON


@dataclass(frozen=True)
class CorruptionMeans:
    """The averages of one model over the common corruptions that were judged.

    :param model: the model's name.
    :param error: the mean error.
    :param relative: the same over that of the first model, corruption by corruption (mCE as a ratio); None for the
        first model itself.
    :param baseline: the first model's name.
    :param corruptions: how many of the fifteen common ones it is over.
    """

    model: str
    error: float
    relative: float | None
    baseline: str
    corruptions: int


def corruption_means(evaluation: Evaluation) -> tuple[CorruptionMeans, ...]:
    """The averages of each model; none where no common corruption was judged beside the clean images."""
    reports = list[CorruptionReport]()
    for model in evaluation.models:
        try:
            reports.append(corruption_report(evaluation, model))
        except ValueError:
            return ()
    count = sum(name in COMMON for name in reports[0].names)
    if not count:
        return ()
    return tuple(
        CorruptionMeans(
            model,
            report.mean_error(),
            report.mean_error(reports[0]) if report is not reports[0] else None,
            evaluation.models[0],
            count,
        )
        for model, report in zip(evaluation.models, reports, strict=True)
    )

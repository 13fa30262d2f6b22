"""Whether a model is as sure as it is right: expected calibration error and reliability bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from art_domainrand.core.checks import check_counts, require
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import check_names, names_of_kind

BINS = 15
"""As in Guo et al. (2017)."""


@dataclass(frozen=True)
class ReliabilityBin(SummaryRecord):
    """Outcomes whose confidence is in (low, high].

    :param low: the lower end, not in the bin but for 0 in the first.
    :param high: the upper end.
    :param count: how many there are.
    :param confidence: their mean confidence; None for an empty bin.
    :param accuracy: the share of them that is right; None for an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration(SummaryRecord):
    """How far confidence and accuracy are apart.

    :param model: the model's name.
    :param conditions: the names of the conditions whose outcomes were put together.
    :param n: how many outcomes these are; every draw counts.
    :param error: the expected calibration error, in [0, 1]: the mean over the outcomes of |accuracy - confidence| of
        their bin.
    :param largest: the largest such difference (maximum calibration error).
    :param confidence: the mean confidence; more than ``accuracy`` for a model that is too sure.
    :param accuracy: the share that is right.
    :param bins: the reliability diagram, bins of equal width over [0, 1].
    """

    model: str
    conditions: tuple[str, ...]
    n: int
    error: float
    largest: float
    confidence: float
    accuracy: float
    bins: tuple[ReliabilityBin, ...]


def calibration(
    evaluation: Evaluation, model: str, conditions: str | Sequence[str], *, bins: int = BINS
) -> Calibration:
    """The expected calibration error of Guo et al. ("On Calibration of Modern Neural Networks", ICML 2017, eq. 3).

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param conditions: the name of a condition, or of several whose outcomes are put together.
    :param bins: how many bins of equal width there are.
    :raises ValueError: for an unknown name, and where the model gives no probabilities.
    """
    names = (conditions,) if isinstance(conditions, str) else tuple(conditions)
    check_counts(bins=bins)
    require(bins > 0, "bins", "be >= 1", bins)
    check_names("model", [model], evaluation.models)
    check_names("conditions", names, list(evaluation.conditions))
    rows = np.concatenate([evaluation.outcomes.of(model, name).reshape(-1) for name in names])
    confidence, right = rows["confidence"].astype(np.float64), rows["right"].astype(np.float64)
    require(not np.isnan(confidence).any(), "model", "give probabilities to have a calibration", model)
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)
    found = tuple(
        reliability_bin(float(edges[k]), float(edges[k + 1]), confidence[place == k], right[place == k])
        for k in range(bins)
    )
    gaps = [(one.count, abs(one.accuracy - one.confidence)) for one in found if one.accuracy is not None]  # type: ignore[operator]
    return Calibration(
        model,
        names,
        len(rows),
        sum(count * gap for count, gap in gaps) / len(rows),
        max(gap for _, gap in gaps),
        float(confidence.mean()),
        float(right.mean()),
        found,
    )


def reliability_bin(low: float, high: float, confidence: np.ndarray, right: np.ndarray) -> ReliabilityBin:  # type: ignore[type-arg]
    """The bin of these confidences and outcomes."""
    if not len(right):
        return ReliabilityBin(low, high, 0, None, None)
    return ReliabilityBin(low, high, len(right), float(confidence.mean()), float(right.mean()))


def calibrations(evaluation: Evaluation, model: str, *, bins: int = BINS) -> dict[str, Calibration]:
    """The calibration on clean, on corrupted and on attacked images, of these kinds what there is.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param bins: as in :func:`calibration`.
    :return: by "clean", "corrupted" and "attacked"; empty where some confidence is unknown, as all are of a model that
        gives no probabilities.
    """
    check_names("model", [model], evaluation.models)
    kinds = {kind: names_of_kind(evaluation, kind) for kind in ("clean", "corrupted", "attacked")}
    every = [name for names in kinds.values() for name in names]
    if any(np.isnan(evaluation.outcomes.of(model, name)["confidence"]).any() for name in every):
        return {}
    return {kind: calibration(evaluation, model, names, bins=bins) for kind, names in kinds.items() if names}

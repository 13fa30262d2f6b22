"""Stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_domainrand.attacks.pgd import PGD
from art_domainrand.evaluation.conditions.kinds import Attacked, Condition, Custom
from art_domainrand.evaluation.evaluation import Sample
from art_domainrand.evaluation.outcomes import OUTCOME
from art_domainrand.evaluation.run import predicted_scores
from art_domainrand.evaluation.running.block import Block


@dataclass(frozen=True, eq=False)
class Performed:
    """What became of a block.

    :param rows: of OUTCOME.
    :param samples: kept to be looked at.
    """

    rows: NDArray[Any]
    samples: tuple[Sample, ...]


def perform(
    estimator: Any,
    family: Sequence[Condition],
    block: Block,
    *,
    classes: Sequence[str],
    predictions: int = 1,
    keep: int = 0,
) -> Performed:
    """Stand-in."""
    parts, kept = [], []
    for place, condition in enumerate(family):
        x = block.x
        if isinstance(condition, Attacked) and condition.eps > 0:
            x = PGD(
                estimator,
                eps=condition.eps,
                eps_step=condition.eps / 4,
                seed=block.seed,
                max_iter=5,
                verbose=False,
                batch_size=block.batch_size,
            ).generate(block.x, block.y)
        if isinstance(condition, Custom):
            x = condition.function(estimator, block.x, block.y)
        scores = predicted_scores(estimator, x)
        if np.isnan(scores).any():
            raise ValueError("model must predict numbers, got NaN")
        rows = np.zeros(len(x) * predictions, OUTCOME)
        rows["condition"], rows["sample"] = place, np.tile(block.samples, predictions)
        rows["draw"] = np.repeat(np.arange(predictions), len(x))
        rows["label"], rows["predicted"] = np.tile(block.y, predictions), np.tile(scores.argmax(1), predictions)
        rows["right"] = rows["label"] == rows["predicted"]
        own = np.take_along_axis(scores, block.y[:, None], 1)[:, 0]
        rows["margin"] = np.tile(own - np.sort(scores, 1)[:, -2], predictions)
        parts.append(rows)
        wrong = np.flatnonzero(~rows["right"][: len(x)])[:keep]
        kept += [Sample("", condition.name, int(block.samples[i]), block.x[i], x[i], "a", "b", "c") for i in wrong]
    return Performed(np.concatenate(parts), tuple(kept))

"""What is written down: rows of the outcome table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.arrays import Array
from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.names import NORMS
from art_domainrand.evaluation.outcomes import OUTCOME
from art_domainrand.evaluation.running.block import Block, lengths
from art_domainrand.evaluation.running.performance import Draws


def checked_images(found: Any, given: Array, name: str) -> Array:
    """The images that a condition returns, float32, as many and of the form of those it was given.

    :raises ValueError: for others, and for pixels that are not finite.
    """
    images = np.asarray(found, dtype=np.float32)
    rule = f"return images of shape {given.shape}"
    require(images.shape == given.shape, f"condition {name!r}", rule, Text(f"{images.shape}"))
    require(np.isfinite(images).all(), f"condition {name!r}", "return finite pixels", Text("NaN or infinite ones"))
    return images


def rows_of_draws(judged: Draws, block: Block, place: int, predictions: int) -> NDArray[Any]:
    """The rows of the condition at ``place`` of the family, sample by sample and draw by draw."""
    rows = np.zeros((len(block), len(judged) * predictions), OUTCOME)
    rows["condition"], rows["sample"], rows["label"] = place, block.samples[:, None], block.y[:, None]
    rows["draw"] = np.arange(rows.shape[1])
    for draw, changed in enumerate(judged):
        some = rows[:, draw * predictions : (draw + 1) * predictions]
        verdict = changed.verdict
        assert verdict is not None
        for name in ("predicted", "right", "margin", "confidence"):
            some[name] = getattr(verdict, name).T
        difference = changed.images.astype(np.float64) - changed.given
        for name, order in NORMS.items():
            some[name] = lengths(difference, order)[:, None]
        some["forwards"] = changed.passes.forwards[:, None] / predictions
        some["backwards"] = changed.passes.backwards[:, None] / predictions
    return rows.reshape(-1)

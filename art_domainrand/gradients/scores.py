"""Predictions of an estimator, read as class scores."""

from typing import Any

import numpy as np
import torch
from art.estimators.certification.randomized_smoothing.randomized_smoothing import RandomizedSmoothingMixin
from torch import Tensor, nn


def predict(estimator: Any, x: np.ndarray[Any, Any], **kwargs: Any) -> Any:
    """Call ``estimator.predict`` and hide the one draw that its DataLoader takes from the global torch generator.

    A randomized-smoothing estimator draws its noise there too; hiding that would hand later predictions the same noise.
    """
    if isinstance(estimator, RandomizedSmoothingMixin):
        return estimator.predict(x, **kwargs)
    state = torch.get_rng_state()
    try:
        return estimator.predict(x, **kwargs)
    finally:
        torch.set_rng_state(state)


def class_scores(scores: Tensor, n: int, loss: Any) -> Tensor:
    """Scores of ``n`` images as (n, K >= 2): the single output unit of a binary classifier is read as two classes."""
    if len(scores) != n:
        raise ValueError(
            f"estimator must predict one row for each image, got {len(scores)} rows for {n}; where its preprocessing "
            "repeats images (EoT), pass y and use neither restarts nor minimal"
        )
    if scores.dim() == 2 and scores.shape[1] > 1:
        return scores
    if isinstance(loss, nn.BCELoss):
        scores = scores - 0.5
    elif not isinstance(loss, nn.BCEWithLogitsLoss):
        raise one_output_error(scores, loss)
    scores = scores.reshape(len(scores), 1)
    return torch.cat([torch.zeros_like(scores), scores], dim=1)


def one_output_error(outputs: Tensor, loss: Any) -> ValueError:
    """The error for one output unit whose meaning the loss does not tell."""
    return ValueError(
        "estimator must have two outputs, or one output and BCELoss or BCEWithLogitsLoss to say how to read it, "
        f"got output shape {tuple(outputs.shape)} and loss {type(loss).__name__}"
    )

"""Predictions of an estimator, read as class scores."""

from typing import Any

import numpy as np
import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from art.estimators.regression.pytorch import PyTorchRegressor
from torch import Tensor, nn

from art_domainrand.estimators.outputs import adapted
from art_domainrand.estimators.state import inner_estimators


def predict(estimator: Any, x: np.ndarray[Any, Any], **kwargs: Any) -> Any:
    """Call ``estimator.predict``, on models of any floating type, and hide the draws of ART's DataLoaders.

    Each takes one number from the global torch generator. A generator that the estimator itself has drawn from goes on:
    put back, it would hand later predictions the same noise.
    """
    before = torch.get_rng_state()
    hidden = True
    try:
        with adapted(estimator):
            found = estimator.predict(x, **kwargs)
        hidden = only_loaders_drew(estimator, before)
    finally:
        if hidden:
            torch.set_rng_state(before)
    return found


def only_loaders_drew(estimator: Any, before: Tensor) -> bool:
    """Whether the global generator has moved from the state ``before`` by no more than one draw for each DataLoader."""
    loaders = sum(isinstance(e, (PyTorchClassifier, PyTorchRegressor)) for e in inner_estimators(estimator))
    after, again = torch.get_rng_state(), torch.Generator()
    again.set_state(before)
    for _ in range(loaders):
        if torch.equal(again.get_state(), after):
            return True
        torch.empty((), dtype=torch.int64).random_(generator=again)
    return torch.equal(again.get_state(), after)


def class_scores(scores: Tensor, n: int, loss: Any) -> Tensor:
    """Scores of ``n`` images as (n, K >= 2): the single output unit of a binary classifier is read as two classes."""
    rows = len(scores) if scores.dim() else 1
    if rows != n:
        raise ValueError(
            f"estimator must predict one row for each image, got {rows} rows for {n}; where its preprocessing "
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

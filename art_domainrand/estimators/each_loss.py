"""Losses that are one number for the whole batch, taken sample by sample."""

import inspect
from typing import Any

import numpy as np
import torch
from art.config import ART_NUMPY_DTYPE
from torch import Tensor

from art_domainrand.core.global_rng import preserved_global_rng, seed_global_rng
from art_domainrand.estimators.kinds import is_framework_regressor


def loss_of_each(estimator: Any, x: Any, y: Any) -> Tensor:
    """The estimator's loss of every sample (N,): without reduction where it can, else by one call per sample.

    All are taken under the same random numbers, so that what differs is the images; global generators are left alone.
    """
    with preserved_global_rng():
        if "reduction" in inspect.signature(estimator.compute_loss).parameters:
            seed_global_rng(0)
            targets = flat_targets(y) if is_framework_regressor(estimator) else y
            whole = as_array(estimator.compute_loss(x, targets, reduction="none"))
            if whole.ndim > 0 and whole.size % len(x) == 0:
                return torch.from_numpy(whole.reshape(len(x), -1).mean(1))
        each = []
        for i in range(len(x)):
            seed_global_rng(0)
            each.append(as_array(estimator.compute_loss(x[i : i + 1], y[i : i + 1])).mean())
        return torch.tensor(each, dtype=torch.float64)


def flat_targets(y: Any) -> np.ndarray[Any, Any]:
    """Targets (N,), (N, 1) or (N, K) as a PyTorchRegressor compares them with its outputs."""
    return np.asarray(y, dtype=ART_NUMPY_DTYPE).reshape(-1)


def as_array(loss: Any) -> np.ndarray[Any, Any]:
    """A loss as an estimator gives it, in float64."""
    return np.asarray(loss.detach().cpu() if isinstance(loss, Tensor) else loss, dtype=np.float64)

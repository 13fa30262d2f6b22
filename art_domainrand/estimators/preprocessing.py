"""What happens between an image and the model's output, as functions on tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from art.estimators.pytorch import PyTorchEstimator
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from art.preprocessing.standardisation_mean_std.utils import broadcastable_mean_std
from torch import Tensor, nn

Preprocess = Callable[[Tensor, Any], tuple[Tensor, Any]]


def model_forward(estimator: Any) -> Callable[[Tensor], Any]:
    """The function from preprocessed inputs to the model's last output, as ART computes it.

    ART's wrapper runs the members of an ``nn.Sequential`` one by one and keeps the output of every one alive; here only
    the last is kept.
    """
    if type(estimator)._make_model_wrapper is not PyTorchClassifier._make_model_wrapper:
        return lambda inputs: estimator._model(inputs)[-1]
    if not isinstance(estimator.model, nn.Sequential):
        model: Callable[[Tensor], Any] = estimator.model
        return model

    def in_turn(inputs: Tensor) -> Any:
        for module in estimator.model._modules.values():
            inputs = module(inputs)
        return inputs

    return in_turn


def preprocessing_chain(estimator: Any, *, fit: bool = False) -> Preprocess:
    """The estimator's preprocessing for prediction, or with ``fit`` for training, as one function on tensors.

    Constants are on the device already.

    ART's default ``preprocessing=(0, 1)`` subtracts 0 and divides by 1, a pass over the batch in each direction that is
    left out; any other mean and standard deviation are copied to the device once instead of at every call.
    """
    if type(estimator)._apply_preprocessing is not PyTorchEstimator._apply_preprocessing:
        return lambda x, y: estimator._apply_preprocessing(x, y=y, fit=fit, no_grad=False)
    operations = [op for op in estimator.preprocessing_operations if (op.apply_fit if fit else op.apply_predict)]
    steps = [s for s in (preprocessing_step(op, estimator.device) for op in operations) if s is not None]

    def chain(x: Tensor, y: Any) -> tuple[Tensor, Any]:
        for step in steps:
            x, y = step(x, y)
        return x, y

    return chain


def preprocessing_step(operation: Any, device: torch.device) -> Preprocess | None:
    """One preprocessing operation on tensors, None where it is the identity."""
    if type(operation) is not StandardisationMeanStdPyTorch:
        step: Preprocess = operation.forward
        return step
    if np.all(operation.mean == 0) and np.all(operation.std == 1):
        return None
    constants: dict[torch.Size, tuple[Tensor, Tensor]] = {}

    def standardise(x: Tensor, y: Any) -> tuple[Tensor, Any]:
        shape = x.shape[1:]
        if shape not in constants:
            pair = broadcastable_mean_std(x, operation.mean, operation.std)
            constants[shape] = (
                torch.as_tensor(pair[0], dtype=torch.float32, device=device),
                torch.as_tensor(pair[1], dtype=torch.float32, device=device),
            )
        mean, std = constants[shape]
        return (x - mean) / std, y

    return standardise


def random_preprocessors(estimator: Any) -> list[Any]:
    """The preprocessors that run in prediction and whose draws can be chosen, as those of this library can."""
    if getattr(type(estimator), "_apply_preprocessing", None) is not PyTorchEstimator._apply_preprocessing:
        return []
    return [op for op in estimator.preprocessing_operations if op.apply_predict and hasattr(op, "replay")]

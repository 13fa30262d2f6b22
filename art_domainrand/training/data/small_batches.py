"""Batches of one image, on which batch normalization cannot train: found and mended before the first step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from art.estimators.pytorch import PyTorchEstimator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from art_domainrand.core.checks import Text, require
from art_domainrand.core.global_rng import preserved_global_rng
from art_domainrand.estimators.preprocessing import model_forward
from art_domainrand.estimators.state import as_found
from art_domainrand.training.streams import streams_of

TOO_SMALL = "Expected more than 1 value per channel when training"
"""How torch's error about such a batch begins."""

WHY = "on which batch normalization cannot train"


def refuses_one_image(estimator: Any) -> bool:
    """Whether batch normalization in the estimator's model cannot train on a batch of one image.

    It cannot where one image has one value a channel, but can on a feature map. So the model is tried, on zeros, and
    left as found, what it draws from included; one that cannot be tried so counts as one that can.
    """
    model = estimator.model if isinstance(estimator, PyTorchEstimator) else None
    if not isinstance(model, nn.Module) or not any(isinstance(module, _BatchNorm) for module in model.modules()):
        return False
    plain = isinstance(estimator, PyTorchClassifier)
    forward: Callable[[Tensor], Any] = model_forward(estimator) if plain else model
    device, streams = estimator.device, streams_of(estimator)
    before = [stream.state() for stream in streams]
    try:
        with as_found(model), preserved_global_rng(device), torch.no_grad():
            model.train()
            forward(torch.zeros(1, *estimator.input_shape, device=device))
    except Exception as error:  # any at all: nothing was asked of the model but this
        return TOO_SMALL in str(error)
    finally:
        for stream, state in zip(streams, before, strict=True):
            stream.restore(state)
    return False


def joins_last(estimator: Any, batch: int, last: int, batches: int, stacklevel: int) -> bool:
    """Whether an epoch's last batch is to be joined to the one before; warns of it.

    :param batch: how many rows the model sees of a full batch.
    :param last: and of the last one.
    :param batches: how many batches there are.
    :param stacklevel: where the user called, seen from here.
    :raises ValueError: where the last batch has one row and there is no other, or all others are as small.
    """
    if last > 1 or not refuses_one_image(estimator):
        return False
    rule = f"leave no batch of one image, {WHY}"
    require(batches > 1 and batch > 1, "batch_size", rule, Text(f"{batches} of {batch}"))
    warnings.warn(f"the last batch of an epoch has one image, {WHY}: it joins the batch before", stacklevel=stacklevel)
    return True


@contextmanager
def advice_on_small_batches(advice: str) -> Iterator[None]:
    """Add ``advice`` to the error of batch normalization about a batch of one image."""
    try:
        yield
    except ValueError as error:
        if "Expected more than 1 value per channel when training" in str(error):
            error.add_note(f"The last batch has too few images for batch normalization: {advice}.")
        raise

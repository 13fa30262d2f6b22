"""Opening an estimator for an attack and giving it back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from art_domainrand.estimators.arrays import ArrayGradients, DetectorGradients, RegressorGradients
from art_domainrand.estimators.compiling import Compiler
from art_domainrand.estimators.device import DeviceGradients
from art_domainrand.estimators.estimates import estimated
from art_domainrand.estimators.kinds import is_device_estimator, is_framework_detector, is_framework_regressor
from art_domainrand.estimators.outputs import adapted
from art_domainrand.estimators.protocol import Gradients
from art_domainrand.estimators.state import as_found, channels_last, torch_models


@contextmanager
def open_estimator(
    estimator: Any,
    memory_format: str | None = None,
    autocast: torch.dtype | None = None,
    compiler: Compiler | None = None,
    *,
    summed: bool = False,
) -> Iterator[Gradients]:
    """Open an estimator for an attack and give it back as found, also after an exception.

    Kept: the training flag of every module, all buffers, ``p.grad``, ``p.requires_grad``, the storage and memory format
    of every parameter. Inside, models are in evaluation mode. ``compiler`` compiles the forward pass of the gradients.
    With ``summed`` the gradient at an image does not depend on the others, not even in its rounding: it is that of the
    sum over the batch where the loss is a mean cross-entropy. Several threads may do so at a time: the last one out
    gives back.
    """
    with ExitStack() as stack:
        for model in torch_models(estimator):
            stack.enter_context(as_found(model))
        stack.enter_context(adapted(estimator))
        stack.enter_context(estimated(estimator))
        if not is_device_estimator(estimator):
            if is_framework_regressor(estimator):
                yield RegressorGradients(estimator)
            else:
                yield DetectorGradients(estimator) if is_framework_detector(estimator) else ArrayGradients(estimator)
            return
        if memory_format == "channels_last":
            stack.enter_context(channels_last(estimator._model))
        if estimator.is_rnn and estimator.device.type == "cuda":
            # cuDNN refuses the backward pass of an RNN in evaluation mode; ART switches to training mode and with it
            # turns on the RNN's own dropout. The native kernels differentiate the very function that predicts.
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))  # type: ignore[no-untyped-call]
        yield DeviceGradients(estimator, memory_format, autocast, compiler, summed=summed)

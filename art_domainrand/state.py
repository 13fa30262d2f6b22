"""The PyTorch models inside an estimator: found, frozen, and given back as they were."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def torch_models(estimator: Any) -> list[nn.Module]:
    """The PyTorch modules inside an estimator: its model, and those of the estimators it is made of."""
    inner = [getattr(estimator, name, None) for name in ("classifier", "detector", "estimator")]
    inner += list(getattr(estimator, "classifiers", None) or [])
    models = [m for m in (getattr(estimator, "_model", None),) if isinstance(m, nn.Module)]
    return models + [m for e in inner if e is not None for m in torch_models(e)]


@contextmanager
def as_found(model: nn.Module) -> Iterator[None]:
    """Freeze ``model`` in evaluation mode and restore flags, buffers, gradients and ``requires_grad`` afterwards."""
    training = [(m, m.training) for m in model.modules()]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    # Evaluation mode rarely moves a buffer, but ART's own loss_gradient uses training mode for RNNs. They are small.
    buffers = [(m, n, b, b.detach().clone()) for m in model.modules() for n, b in m._buffers.items() if b is not None]
    try:
        model.eval()
        for p, _, _ in parameters:
            p.requires_grad_(False)
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for p, required, grad in parameters:
            p.requires_grad_(required)
            p.grad = grad
        with torch.no_grad():
            for module, name, b, value in buffers:
                b.copy_(value)
                module._buffers[name] = b


@contextmanager
def channels_last(model: nn.Module) -> Iterator[None]:
    """Let the convolution weights of ``model`` be channels-last; the original storage returns afterwards."""
    originals = [(p, p.data) for p in model.parameters() if p.dim() == 4]
    try:
        for p, data in originals:
            # Not contiguous(): with one channel a tensor passes for both formats, and the layer for the other one.
            p.data = torch.empty_like(data, memory_format=torch.channels_last).copy_(data)
        yield
    finally:
        for p, data in originals:
            p.data = data

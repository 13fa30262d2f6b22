"""Preprocessors that bring a differentiable estimate of themselves along (BPDA, Athalye et al. 2018)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from art_domainrand.core.straight_through import straight_through, wants_gradient
from art_domainrand.estimators.state import Temporary, inner_estimators


def has_own_estimate(operation: Any) -> bool:
    """Whether a PyTorch preprocessor defines ART's ``estimate_forward``.

    This library's do for ART's sake: what they do to images carries its own gradient.
    """
    if not isinstance(operation, PreprocessorPyTorch) or hasattr(operation, "replay"):
        return False
    own = "estimate_forward" in vars(operation)
    return own or type(operation).estimate_forward is not PreprocessorPyTorch.estimate_forward


def _estimate(operation: Any) -> Callable[[], None]:
    """Let ``operation.forward`` have the gradient of its ``estimate_forward``, at the images it is shown."""
    forward, own = operation.forward, vars(operation).get("forward")
    inside = threading.local()  # an estimate may itself call forward

    def estimated(x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        if getattr(inside, "estimate", False) or not wants_gradient(x):
            result: tuple[Tensor, Any] = forward(x, y)
            return result
        value, labels = forward(x.detach(), y)
        inside.estimate = True
        try:
            estimate = operation.estimate_forward(x)
        finally:
            inside.estimate = False
        if estimate.shape != value.shape:
            raise ValueError(
                f"estimate_forward of {type(operation).__name__} must have the shape {tuple(value.shape)} of its "
                f"forward, got {tuple(estimate.shape)}"
            )
        return straight_through(value, estimate.to(value.dtype)), labels

    operation.forward = estimated

    def undo() -> None:
        if own is None:
            del operation.forward
        else:
            operation.forward = own

    return undo


_ESTIMATED = Temporary(_estimate)


@contextmanager
def estimated(estimator: Any) -> Iterator[None]:
    """Inside, gradients pass the preprocessors of ``estimator`` by the estimates that they define."""
    operations = [op for e in inner_estimators(estimator) for op in getattr(e, "preprocessing_operations", None) or []]
    with _ESTIMATED.of(op for op in operations if has_own_estimate(op)):
        yield

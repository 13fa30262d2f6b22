"""Forward and backward passes, counted where they happen: at the model."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from art_domainrand.estimators.outputs import parts_of
from art_domainrand.estimators.state import counted_modules


class PassCounter:
    """Counts the images that go through the PyTorch models of an estimator while it is open.

    :param estimator: an ART estimator; where no model of PyTorch is found in it, all counts are NaN.
    """

    def __init__(self, estimator: Any) -> None:
        self._modules = counted_modules(estimator)
        self.forwards: float = 0 if self._modules else np.nan
        self.backwards = self.forwards
        self._hooks = ExitStack()

    def __enter__(self) -> Self:
        for module in self._modules:
            self._hooks.callback(module.register_forward_hook(self._forward).remove)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hooks.close()

    def _forward(self, module: Any, inputs: Any, output: Any) -> Any:
        images = next((part for part in inputs if isinstance(part, Tensor)), None)
        if images is None:
            return output
        self.forwards += len(images)
        if output is images and images.requires_grad:
            output = images.view_as(images)  # gradients may be asked for at the images themselves
        tensors = [part for part in (output, *parts_of(output)) if isinstance(part, Tensor) and part.requires_grad]
        if tensors and torch.is_grad_enabled():
            tensors[0].register_hook(lambda gradient: self._backward(len(images)))  # type: ignore[no-untyped-call]
        return output

    def _backward(self, n: int) -> None:
        self.backwards += n

"""Forward and backward passes, counted where they happen: at the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.estimators.outputs import parts_of
from art_domainrand.estimators.state import counted_modules

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Passes:
    """Passes that samples took, (n,) each; NaN where they cannot be counted.

    :param forwards: images that went forward through the model, for each sample.
    :param backwards: gradients of images that were taken.
    """

    forwards: NDArray[np.float64]
    backwards: NDArray[np.float64]

    @classmethod
    def none(cls, n: int) -> Self:
        """No passes of ``n`` samples."""
        return cls(np.zeros(n), np.zeros(n))

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forwards + other.forwards, self.backwards + other.backwards)

    def spread(self, which: NDArray[Any], n: int) -> Passes:
        """The passes of the samples ``which`` among ``n``, of which the others took none."""
        found = Passes.none(n)
        found.forwards[which], found.backwards[which] = self.forwards, self.backwards
        return found


class Meter:
    """Counts the images that go through the PyTorch models of an estimator while it is open.

    :param estimator: an ART estimator; where no model of PyTorch is found in it, all counts are NaN.
    """

    def __init__(self, estimator: Any) -> None:
        self._modules = counted_modules(estimator)
        self._forwards = self._backwards = 0 if self._modules else np.nan
        self._hooks = ExitStack()

    def __enter__(self) -> Self:
        for module in self._modules:
            self._hooks.callback(module.register_forward_hook(self._forward).remove)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hooks.close()

    def measured(self, action: Callable[[], Found], n: int) -> tuple[Found, Passes]:
        """What ``action`` returns, and the passes that it took, shared evenly over its ``n`` samples.

        :param action: what is counted.
        :param n: for how many samples it works.
        """
        forwards, backwards = self._forwards, self._backwards
        found = action()
        taken = np.array([self._forwards - forwards, self._backwards - backwards]) / max(n, 1)
        return found, Passes(np.full(n, taken[0]), np.full(n, taken[1]))

    def _forward(self, module: Any, inputs: Any, output: Any) -> Any:
        images = next((part for part in inputs if isinstance(part, Tensor)), None)
        if images is None:
            return output
        self._forwards += len(images)
        if output is images and images.requires_grad:
            output = images.view_as(images)  # gradients may be asked for at the images themselves
        tensors = [part for part in (output, *parts_of(output)) if isinstance(part, Tensor) and part.requires_grad]
        if tensors and torch.is_grad_enabled():
            tensors[0].register_hook(lambda gradient: self._backward(len(images)))  # type: ignore[no-untyped-call]
        return output

    def _backward(self, n: int) -> None:
        self._backwards += n

"""What samples cost in forward and backward passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from art_domainrand.estimators.counting import PassCounter

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
        self._counter = PassCounter(estimator)

    def __enter__(self) -> Self:
        self._counter.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._counter.__exit__(kind, error, at)

    def measured(self, action: Callable[[], Found], n: int) -> tuple[Found, Passes]:
        """What ``action`` returns, and the passes that it took, shared evenly over its ``n`` samples.

        :param action: what is counted.
        :param n: for how many samples it works.
        """
        counter = self._counter
        forwards, backwards = counter.forwards, counter.backwards
        found = action()
        taken = np.array([counter.forwards - forwards, counter.backwards - backwards]) / max(n, 1)
        return found, Passes(np.full(n, taken[0]), np.full(n, taken[1]))

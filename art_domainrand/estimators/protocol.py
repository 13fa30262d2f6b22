"""What an attack needs of an estimator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

Labels = Any  # a tensor or array of one-hot or soft labels; for detectors a list of dicts
Objective = Callable[[Tensor, slice], Tensor]
"""Scores (b, K) of the given rows of a batch -> what to ascend, (b,)."""
Through = Callable[[Tensor, slice], Tensor]
"""Points (b, ...), the given rows of a batch -> the images (b, ...) made of them, differentiably."""


@dataclass(frozen=True)
class Evaluated:
    """One pass over a batch: class ``scores`` (B, K), the objective's ``values`` (B,) and its ``gradient`` (B, ...).

    ``values`` is None for the estimator's own loss, which is one number for the whole batch.
    """

    scores: Tensor
    values: Tensor | None
    gradient: Tensor


class Gradients(Protocol):
    """What an attack needs of an estimator."""

    device: torch.device
    summed: bool
    """Whether ``gradient`` is that of the sum over the batch where the estimator's own loss is the mean."""
    cross_entropy: bool
    """Whether the estimator's own loss is known to be the plain cross-entropy of its scores."""
    as_predicted: bool
    """Whether ``evaluate`` sees the scores that the estimator predicts, but for what comes after the model."""

    @property
    def random_preprocessors(self) -> Sequence[Any]:
        """The preprocessors that run in prediction and whose draws can be chosen (``replay``), in order."""

    def labels(self, y: Any) -> Labels:
        """Bring a batch of labels into the form that ``gradient`` takes, once per batch."""

    def gradient(self, x: Tensor, y: Labels, sign: int) -> Tensor:
        """Return ``sign`` times the gradient of the loss at ``x`` (B, ...), a fresh tensor of its shape."""

    def evaluate(
        self,
        x: Tensor,
        y: Labels,
        sign: int,
        objective: Objective | None = None,
        draws: Sequence[Any] = (),
        through: Through | None = None,
    ) -> Evaluated:
        """Scores, values and gradient from one pass: of ``objective``, or of ``sign`` times the estimator's own loss.

        ``draws`` holds one draw for each of :attr:`random_preprocessors`; empty leaves them their own. ``through``
        makes the images that the estimator is shown from ``x``; the gradient is that at ``x``.
        """

    def scores(self, x: Tensor, draws: Sequence[Any] = ()) -> Tensor:
        """Class scores (B, K), K >= 2, whose argmax is the estimator's prediction; ``draws`` as in ``evaluate``."""

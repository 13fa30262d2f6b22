"""Whether a prediction is right."""

from __future__ import annotations

from typing import Any, TypeVar

from numpy.typing import NDArray
from torch import Tensor

Classes = TypeVar("Classes", Tensor, NDArray[Any])


def correct(scores: Classes, y: Classes) -> Classes:
    """Which predictions are right, (B,) bool: the largest score, the first of equal ones, is that of the label's class.

    :param scores: Class scores (B, K), tensor or array. NaN counts as large: look for it before.
    :param y: Class indices (B,), or rows (B, K), of which the largest entry counts; of the same kind.
    """
    labels = y.argmax(1) if y.ndim == 2 else y
    return scores.argmax(1) == labels  # type: ignore[no-any-return]

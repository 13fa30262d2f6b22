"""How far images have been changed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.arrays import Array


def lengths(change: Array, order: float) -> NDArray[np.float64]:
    """The norm of each of n changes, (n,)."""
    found: NDArray[np.float64] = np.linalg.norm(change.reshape(len(change), math.prod(change.shape[1:])), order, axis=1)
    return found

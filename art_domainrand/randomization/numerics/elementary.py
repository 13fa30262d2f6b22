"""Functions whose bits depend on their argument alone.

``torch.sigmoid`` and ``torch.exp2`` round differently in the vectorized body of a tensor and in what is left over at
its end, so a value's bits would depend on where in the batch it lies. ``exp`` and ``tanh`` do not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def logistic(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), from 0 to 1."""
    return 0.5 + 0.5 * torch.tanh(0.5 * x)


def two_to_the(x: Tensor) -> Tensor:
    """2 to the power ``x``, up to rounding."""
    return torch.exp(x * math.log(2))


def standard_normal_icdf(u: Tensor) -> Tensor:
    """The inverse CDF of Normal(0, 1), finite on the whole of [0, 1]."""
    step = torch.finfo(u.dtype).eps / 2
    return torch.erfinv(u.clamp(step, 1 - step) * 2 - 1) * math.sqrt(2)

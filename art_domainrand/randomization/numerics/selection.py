"""One of several options, chosen by a point of the unit interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def check_weights(weights: Sequence[float], count: int) -> list[float]:
    """Return ``weights`` as floats; they must be ``count`` numbers >= 0 with a sum above zero."""
    numbers = [float(weight) for weight in weights]
    if len(numbers) != count:
        raise ValueError(f"weights must have {count} entries, got {len(numbers)}")
    if not all(math.isfinite(weight) and weight >= 0 for weight in numbers) or sum(numbers) <= 0:
        raise ValueError(f"weights must be finite, >= 0 and not all zero, got {numbers}")
    return numbers


def select(u: Tensor, weights: Sequence[float] | None, options: Sequence[Tensor]) -> Tensor:
    """Pick ``options[k]`` for the samples whose ``u`` falls into the k-th share of [0, 1].

    ``u`` is (B, ...) and each option has its shape, or more axes. Nothing is read back from the device. An option of
    weight zero is never picked.
    """
    shares = [1.0] * len(options) if weights is None else list(weights)
    usable = [(share, option) for share, option in zip(shares, options, strict=True) if share > 0]
    total = math.fsum(share for share, _ in usable)
    picked = usable[0][1]
    passed = 0.0
    for (before, _), (_, option) in pairwise(usable):
        passed += before
        later = (u >= passed / total).reshape(*u.shape, *[1] * (option.dim() - u.dim()))
        picked = torch.where(later, option, picked)
    return picked

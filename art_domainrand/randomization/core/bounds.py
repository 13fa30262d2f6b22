"""The bounds of distributions: plain numbers, or tensors that are learned."""

from __future__ import annotations

import math
from numbers import Real
from typing import TypeAlias

import torch
from torch import Tensor

Number: TypeAlias = float | Tensor
"""A plain number, or a tensor with one element (a learned bound)."""


def as_bound(name: str, value: object) -> Number:
    """Read the argument ``name`` as a finite number or a tensor with one element; else ValueError."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(f"{name} must be a number or a tensor with one element, got shape {tuple(value.shape)}")
    elif not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, a (low, high) pair or a distribution, got {value!r}")
    number: Number = value.reshape(()) if isinstance(value, Tensor) else float(value)
    if not math.isfinite(plain_bound(number)):
        raise ValueError(f"{name} must be finite, got {shown_bound(number)}")
    return number


def require_ordered(low: Number, high: Number) -> None:
    """Raise ValueError unless both are numbers and ``high`` >= ``low``."""
    as_bound("low", low)
    as_bound("high", high)
    if plain_bound(high) < plain_bound(low):
        raise ValueError(f"high must be >= low, got low={shown_bound(low)}, high={shown_bound(high)}")


def require_above_zero(name: str, value: Number) -> None:
    """Raise ValueError unless the argument ``name`` is a number > 0."""
    if plain_bound(as_bound(name, value)) <= 0:
        raise ValueError(f"{name} must be > 0, got {shown_bound(value)}")


def require_not_negative(name: str, value: Number) -> None:
    """Raise ValueError unless the argument ``name`` is a number >= 0."""
    if plain_bound(as_bound(name, value)) < 0:
        raise ValueError(f"{name} must be >= 0, got {shown_bound(value)}")


def plain_bound(value: Number) -> float:
    """A bound as a plain float."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def shown_bound(value: Number) -> str:
    """A bound as text for a message."""
    return f"{plain_bound(value):g}"


def log_bound(value: Number) -> Number:
    """The logarithm of a bound, with its gradient."""
    return torch.log(value) if isinstance(value, Tensor) else math.log(value)


def normal_cdf(z: float) -> float:
    """The distribution function of Normal(0, 1)."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))

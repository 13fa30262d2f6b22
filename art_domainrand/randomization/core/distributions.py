"""Distributions given by their inverse CDF: a point of the unit interval in, a physical value out.

Gradients flow from the value to the point ``u`` and to the bounds, so that a range can be learned.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.arrays import as_python
from art_domainrand.randomization.core.bounds import (
    Number,
    as_bound,
    log_bound,
    normal_cdf,
    plain_bound,
    require_above_zero,
    require_not_negative,
    require_ordered,
    shown_bound,
)
from art_domainrand.randomization.numerics.elementary import standard_normal_icdf
from art_domainrand.randomization.numerics.matrices import Rows, constant
from art_domainrand.randomization.numerics.selection import check_weights, select


class Distribution(ABC):
    """A one-dimensional distribution; subclasses are frozen dataclasses."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, as_python(getattr(self, field.name)))

    @abstractmethod
    def icdf(self, u: Tensor) -> Tensor:
        """Map points of the unit interval to values of the distribution.

        :param u: points in [0, 1], of any shape, floating.
        :return: values of the same shape and dtype, with a gradient to ``u`` and to learned bounds.
        """

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """The smallest and the largest value, as plain floats (possibly infinite)."""


Range: TypeAlias = Distribution | float | Tensor | tuple[float, float]
"""What a transform takes where it needs a distribution; see :func:`as_distribution`."""


@dataclass(frozen=True)
class Constant(Distribution):
    """Always ``value``; its coordinate of the unit cube has no effect.

    :param value: the value: a finite number, or a tensor with one element that can be learned.
    :raises ValueError: for anything else.
    """

    value: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        as_bound("value", self.value)

    def icdf(self, u: Tensor) -> Tensor:
        return torch.zeros_like(u) + self.value

    @property
    def support(self) -> tuple[float, float]:
        return (plain_bound(self.value), plain_bound(self.value))


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform on [``low``, ``high``].

    :param low: the smallest value: a finite number, or a tensor with one element that can be learned.
    :param high: the largest value, >= ``low``; of the same kinds.
    :raises ValueError: for bounds that are not finite or not in order.
    """

    low: Number
    high: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        require_ordered(self.low, self.high)

    def icdf(self, u: Tensor) -> Tensor:
        return u * (self.high - self.low) + self.low

    @property
    def support(self) -> tuple[float, float]:
        return (plain_bound(self.low), plain_bound(self.high))


@dataclass(frozen=True)
class LogUniform(Distribution):
    """Uniform in the logarithm on [``low``, ``high``]: halving is as likely as doubling.

    :param low: the smallest value, > 0: a finite number, or a tensor with one element that can be learned.
    :param high: the largest value, >= ``low``; of the same kinds.
    :raises ValueError: for bounds that are not finite, not above zero or not in order.
    """

    low: Number
    high: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        require_above_zero("low", self.low)
        require_ordered(self.low, self.high)

    def icdf(self, u: Tensor) -> Tensor:
        low, high = log_bound(self.low), log_bound(self.high)
        return torch.exp(u * (high - low) + low)

    @property
    def support(self) -> tuple[float, float]:
        return (plain_bound(self.low), plain_bound(self.high))


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal with a given mean and standard deviation.

    The points 0 and 1 are read as half a float step inside, so that every value is finite.

    :param mean: the mean: a finite number, or a tensor with one element that can be learned.
    :param std: the standard deviation, >= 0; of the same kinds.
    :raises ValueError: for a number that is not finite, and a negative ``std``.
    """

    mean: Number
    std: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        as_bound("mean", self.mean)
        require_not_negative("std", self.std)

    def icdf(self, u: Tensor) -> Tensor:
        return standard_normal_icdf(u) * self.std + self.mean

    @property
    def support(self) -> tuple[float, float]:
        spread = math.inf if plain_bound(self.std) > 0 else 0.0
        return (plain_bound(self.mean) - spread, plain_bound(self.mean) + spread)


@dataclass(frozen=True)
class TruncatedNormal(Distribution):
    """Normal(``mean``, ``std``) given that it falls into [``low``, ``high``].

    :param mean: the mean of the whole normal: a finite number, or a tensor with one element that can be learned.
    :param std: its standard deviation, > 0; of the same kinds, as are the bounds.
    :param low: the smallest value.
    :param high: the largest value, >= ``low``.
    :raises ValueError: for numbers out of these bounds, and for a window that holds less than one part in 10,000 of the
        normal's mass: further out float32 has no resolution left.
    """

    mean: Number
    std: Number
    low: Number
    high: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        as_bound("mean", self.mean)
        require_above_zero("std", self.std)
        require_ordered(self.low, self.high)
        mean, std = plain_bound(self.mean), plain_bound(self.std)
        mass = normal_cdf((plain_bound(self.high) - mean) / std) - normal_cdf((plain_bound(self.low) - mean) / std)
        if mass < 1e-4:
            raise ValueError(f"[low, high] must hold at least 1e-4 of the normal's mass, got {shown_bound(mass)}")

    def icdf(self, u: Tensor) -> Tensor:
        floor, ceiling = torch.zeros_like(u) + self.low, torch.zeros_like(u) + self.high
        low = torch.special.ndtr((floor - self.mean) / self.std)
        high = torch.special.ndtr((ceiling - self.mean) / self.std)
        value = standard_normal_icdf(u * (high - low) + low) * self.std + self.mean
        return torch.minimum(torch.maximum(value, floor), ceiling)

    @property
    def support(self) -> tuple[float, float]:
        return (plain_bound(self.low), plain_bound(self.high))


@dataclass(frozen=True)
class Choice(Distribution):
    """One of several values, each with its probability.

    Piecewise constant: no gradient flows to ``u`` or to the weights.

    :param values: the values, at least one finite number.
    :param weights: one number >= 0 for each value, to which its probability is proportional; None makes them equal.
    :raises ValueError: for no values, and for weights of another number, negative, or all zero.
    """

    values: tuple[float, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) == 0:
            raise ValueError("values must not be empty, got ()")
        object.__setattr__(self, "values", tuple(as_bound("values", value) for value in self.values))
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(check_weights(self.weights, len(self.values))))

    def icdf(self, u: Tensor) -> Tensor:
        return select(u, self.weights, [torch.full_like(u, value) for value in self.values])

    @property
    def support(self) -> tuple[float, float]:
        return (float(min(self.values)), float(max(self.values)))


def icdf_columns(distributions: Sequence[Distribution], u: Tensor) -> list[Tensor]:
    """Apply one distribution to each column of ``u`` (B, P): P tensors (B,), each contiguous.

    Uniform ranges and constants with plain bounds, the usual case, are worked out together.
    """
    if not distributions:
        return []
    rows = u.t().contiguous()
    low, span, others = _affine_part(tuple(distributions))
    columns = list((rows * constant(span, u.dtype, u.device) + constant(low, u.dtype, u.device)).unbind(0))
    for column in others:
        columns[column] = distributions[column].icdf(rows[column])
    return columns


@lru_cache(maxsize=256)
def _affine_part(distributions: tuple[Distribution, ...]) -> tuple[Rows, Rows, tuple[int, ...]]:
    """The lows and the spans of the uniform ranges, as columns, and which distributions are of another kind."""
    ends = [
        d.support if isinstance(d, (Uniform, Constant)) and not any(map(torch.is_tensor, vars(d).values())) else None
        for d in distributions
    ]
    low = tuple((end[0] if end else 0.0,) for end in ends)
    span = tuple((end[1] - end[0] if end else 0.0,) for end in ends)
    return low, span, tuple(column for column, end in enumerate(ends) if end is None)


def as_distribution(name: str, value: Range) -> Distribution:
    """Read what a user wrote for a range: a number is a constant, a pair is a uniform range.

    :param name: the argument, for the message.
    :param value: what was written; a distribution is returned as it is.
    :raises ValueError: for anything else, for NaN, and for a reversed pair.
    """
    if isinstance(value, Distribution):
        return value
    value = as_python(value)
    if isinstance(value, (tuple, list)) and len(value) == 2:
        try:
            return Uniform(value[0], value[1])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return Constant(as_bound(name, value))


def require_support(
    name: str, distribution: Range, *, low: float = -math.inf, high: float = math.inf, exclusive: bool = False
) -> None:
    """Raise ValueError unless every value the argument ``name`` can take lies in [low, high] (or inside, exclusive)."""
    assert isinstance(distribution, Distribution)
    smallest, largest = distribution.support
    inside = low < smallest and largest < high if exclusive else low <= smallest and largest <= high
    if not inside:
        rules = [f"{sign}{'' if exclusive else '='} {shown_bound(bound)}" for sign, bound in ((">", low), ("<", high))]
        rule = " and ".join(rule for rule, bound in zip(rules, (low, high), strict=True) if math.isfinite(bound))
        raise ValueError(f"{name} must be {rule}, got values from {shown_bound(smallest)} to {shown_bound(largest)}")


for _kind in (Constant, Uniform, LogUniform, Normal, TruncatedNormal, Choice):  # dataclasses write their constructors
    _kind.__init__ = suggesting_names(_kind.__init__)  # type: ignore[method-assign]

"""The beta distribution on a range: one family from an even draw to a peak, or to the two ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.randomization.core.bounds import (
    Number,
    log_bound,
    plain_bound,
    require_above_zero,
    require_ordered,
    shown_bound,
)
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.numerics.incomplete_beta import beta_icdf

SMALLEST_SHAPE, LARGEST_SHAPE = 0.05, 1000.0
"""Between these the inverse CDF is exact to 1e-9."""


@dataclass(frozen=True)
class Beta(Distribution):
    """Beta(``a``, ``b``), stretched from [0, 1] to [``low``, ``high``].

    With both shapes 1 it is :class:`Uniform`; above 1 it has a peak inside, below 1 it favours the two ends.

    :param low: the smallest value: a finite number, or a tensor with one element that can be learned.
    :param high: the largest value, >= ``low``; of the same kinds.
    :param a: the first shape, from 0.05 to 1000; of the same kinds. The larger, the less is drawn near ``low``.
    :param b: the second shape, which does the same at ``high``.
    :param log: whether it is the logarithm that is so distributed, between those of the bounds, which are then > 0.
    :raises ValueError: for bounds that are not finite, not in order or, with ``log``, not above zero, and for shapes
        outside of their limits.
    """

    low: Number
    high: Number
    a: Number = 1.0
    b: Number = 1.0
    log: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.log, bool):
            raise ValueError(f"log must be a bool, got {self.log!r}")
        if self.log:
            require_above_zero("low", self.low)
        require_ordered(self.low, self.high)
        for name in ("a", "b"):
            require_shape(name, getattr(self, name))

    def icdf(self, u: Tensor) -> Tensor:
        share = self._share(u)
        if self.log:
            low, high = log_bound(self.low), log_bound(self.high)
            return torch.exp(share * (high - low) + low)
        return share * (self.high - self.low) + self.low

    def _share(self, u: Tensor) -> Tensor:
        """How far the value lies from ``low`` to ``high``."""
        learned = torch.is_tensor(self.a) or torch.is_tensor(self.b)
        if not learned and self.a == self.b == 0.5:  # the arcsine law, without a search
            return torch.sin(u * (math.pi / 2)).square()
        a, b = (torch.as_tensor(shape, dtype=torch.float64).reshape(1) for shape in (self.a, self.b))
        return beta_icdf(u.reshape(1, -1), a, b).reshape(u.shape)

    @property
    def support(self) -> tuple[float, float]:
        return (plain_bound(self.low), plain_bound(self.high))


def beta_log_density(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The logarithm of the density of Beta(``a``, ``b``) at ``x`` in (0, 1), with gradients to all; they broadcast."""
    powers: Tensor = torch.xlogy(a - 1, x) + torch.special.xlog1py(b - 1, -x)
    return powers - log_beta(a, b)


def beta_entropy(a: Tensor, b: Tensor) -> Tensor:
    """The differential entropy of Beta(``a``, ``b``) on [0, 1] in nats: 0 for the even draw, else below."""
    expected: Tensor = (a - 1) * torch.digamma(a) + (b - 1) * torch.digamma(b) - (a + b - 2) * torch.digamma(a + b)
    return log_beta(a, b) - expected


def beta_divergence(a: Tensor, b: Tensor, to_a: Tensor, to_b: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of Beta(``to_a``, ``to_b``) from Beta(``a``, ``b``), KL(a, b || to), in nats."""
    apart = (a - to_a) * torch.digamma(a) + (b - to_b) * torch.digamma(b)
    return log_beta(to_a, to_b) - log_beta(a, b) + apart + (to_a - a + to_b - b) * torch.digamma(a + b)


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    """The logarithm of the beta function."""
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def require_shape(name: str, shape: Number) -> None:
    """Raise ValueError unless the argument ``name`` is a shape that a beta distribution can have here."""
    require_above_zero(name, shape)
    if not SMALLEST_SHAPE <= plain_bound(shape) <= LARGEST_SHAPE:
        raise ValueError(f"{name} must be in [{SMALLEST_SHAPE:g}, {LARGEST_SHAPE:g}], got {shown_bound(shape)}")


Beta.__init__ = suggesting_names(Beta.__init__)  # type: ignore[method-assign]

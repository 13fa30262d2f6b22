"""Poisson numbers from counters: how many photons a pixel counts."""

from __future__ import annotations

import torch
from torch import Tensor

from art_domainrand.core.hashing import uniform_field
from art_domainrand.randomization.numerics.elementary import standard_normal_icdf

SMALL = 6.0
"""Below this rate the distribution function is added up; above, its inverse is an expansion about the normal one."""

TERMS = 24
"""How many terms are added up: a rate of 6 exceeds them with probability 4e-9, beyond the resolution of the field."""

RATES_AT_ONCE = 1 << 15
"""On the CPU the many elementwise passes run over this many rates at a time, which stay in the cache."""


def poisson_field(rates: Tensor, seeds: Tensor) -> Tensor:
    """Draw a Poisson number for each of ``rates`` (B, ...) >= 0 from ``seeds`` (B,); of the dtype of ``rates``.

    Each is the quantile of a uniform number that depends on the seed and the place alone.
    """
    u = uniform_field(seeds, rates[0].numel(), rates.dtype).flatten()
    flat = rates.flatten()
    if rates.device.type != "cpu":
        return _quantile(flat, u).view(rates.shape)
    drawn = torch.empty_like(flat)
    for target, rate, numbers in zip(*(torch.split(part, RATES_AT_ONCE) for part in (drawn, flat, u)), strict=True):
        # Reading back which rates a block holds costs nothing here, and no element sees another one's branch.
        if bool((rate < SMALL).all()):
            target.copy_(_added_up(rate, numbers))
        elif bool((rate >= SMALL).all()):
            target.copy_(_expanded(rate, numbers))
        else:
            target.copy_(_quantile(rate, numbers))
    return drawn.view(rates.shape)


def _quantile(rate: Tensor, u: Tensor) -> Tensor:
    return torch.where(rate < SMALL, _added_up(rate.clamp_max(SMALL), u), _expanded(rate.clamp_min(SMALL), u))


def _added_up(rate: Tensor, u: Tensor) -> Tensor:
    """How many values of the distribution function lie below ``u``, for rates up to ``SMALL``."""
    term = torch.exp(-rate)
    total, above = term.clone(), torch.empty_like(rate)
    count = torch.zeros_like(rate)
    for k in range(1, TERMS + 1):
        count += torch.gt(u, total, out=above)
        total += term.mul_(rate).mul_(1 / k)
    return count


def _expanded(rate: Tensor, u: Tensor) -> Tensor:
    """The asymptotic quantile Q_N2 of M. B. Giles, "Algorithm 955", ACM TOMS 42(1), 2016, section 2.2."""
    w, root = standard_normal_icdf(u), rate.sqrt()
    square = w * w
    first = (square + 2) / 6
    second = -(square + 2) * w / 72
    third = ((square / 270 + 7 / 810) * square) - 8 / 405
    return (rate + root * w + first + second / root + third / rate).floor_().clamp_min_(0)

"""The noises of the common corruptions, one random number for each value of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields import hash_field, member_seeds, normal_field, uniform_field

SMALL_RATE = 4.0
"""Above this rate a Poisson number comes from the asymptotic quantile, below from the distribution function itself."""
BLOCK = 1 << 15
"""Elements over which the many passes of a Poisson number run at once: they stay in the processor's cache."""


def gaussian_noise(x: Tensor, seeds: Tensor, std: float) -> Tensor:
    """Add normal noise of standard deviation ``std``."""
    return _normal(x, seeds).mul_(std).add_(x)


def speckle_noise(x: Tensor, seeds: Tensor, std: float) -> Tensor:
    """Multiply by 1 plus normal noise of standard deviation ``std``."""
    return _normal(x, seeds).mul_(std).add_(1).mul_(x)


def impulse_noise(x: Tensor, seeds: Tensor, amount: float) -> Tensor:
    """Replace the share ``amount`` of all values by 0 or 1, each as often ("salt and pepper")."""
    bits = hash_field(seeds, x[0].numel()).view(x.shape)
    lowest = -(1 << 31)
    replaced, salted = (lowest + round(share * (1 << 32)) for share in (amount, amount / 2))
    return torch.where(bits < replaced, (bits < salted).to(x.dtype), x)


def shot_noise(x: Tensor, seeds: Tensor, photons: float) -> Tensor:
    """Count photons: a Poisson number with mean ``x * photons``, over ``photons``."""
    size = x[0].numel()
    rates = (x * photons).flatten()
    u, z = uniform_field(seeds, size, x.dtype).flatten(), None
    if photons > SMALL_RATE:
        z = normal_field(member_seeds(seeds, 0), size, x.dtype).flatten()
    block = BLOCK if x.device.type == "cpu" else len(rates)
    for start in range(0, len(rates), block):
        part = slice(start, start + block)
        rate = rates[part]
        counts = poisson_by_inversion(rate.clamp(max=SMALL_RATE), u[part])
        if z is not None:
            counts = torch.where(rate < SMALL_RATE, counts, poisson_quantile(rate.clamp(min=SMALL_RATE), z[part]))
        torch.div(counts, photons, out=u[part])
    return u.view(x.shape)


def poisson_by_inversion(rate: Tensor, u: Tensor) -> Tensor:
    """The Poisson quantile at ``u`` for ``rate`` from 0 to 4: how many values of the distribution function are below.

    Nineteen of them are looked at; for rate 4 a larger number has probability 3e-8.
    """
    term = torch.exp(-rate)
    below = term.clone()
    above = torch.empty_like(rate)
    count = torch.gt(u, below, out=torch.empty_like(rate))
    for k in range(1, 19):
        if k == 5:  # what is left of dark pixels would soon be denormal, which is slow; 1e-7 is lost
            rate = rate.clamp_min(0.1)
        below.add_(term.mul_(rate).mul_(1 / k))
        count.add_(torch.gt(u, below, out=above))
    return count


def poisson_quantile(rate: Tensor, z: Tensor) -> Tensor:
    """The Poisson quantile at the normal quantile ``z`` for ``rate`` from 4 on, wrong by one in a few per thousand.

    The expansion to second order of M. Giles, "Algorithm 955: approximation of the inverse Poisson cumulative
    distribution function", ACM TOMS 42 (2016), equation 9.
    """
    root = rate.sqrt()
    square = z * z
    exact = rate + root * z + (square / 6 + 1 / 3) - z * (square + 2) / (72 * root)
    exact += ((square / 270 + 7 / 810) * square - 8 / 405) / rate
    return exact.floor_().clamp_min_(0)


def _normal(x: Tensor, seeds: Tensor) -> Tensor:
    return normal_field(seeds, x[0].numel(), x.dtype).view(x.shape)

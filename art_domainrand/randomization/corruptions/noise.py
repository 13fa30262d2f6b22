"""The noises of the common corruptions, one random number for each value of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from art_domainrand.core.hashing import hash_field, normal_field
from art_domainrand.randomization.numerics.poisson import poisson_field


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
    return poisson_field(x * photons, seeds).div_(photons)


def _normal(x: Tensor, seeds: Tensor) -> Tensor:
    return normal_field(seeds, x[0].numel(), x.dtype).view(x.shape)

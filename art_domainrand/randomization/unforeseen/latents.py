"""Coordinates of the unit cube by the dozen: what an adversary moves in a transform of many parameters.

ImageNet-UA (Kaufmann et al., "Testing robustness against unforeseen adversaries", arXiv:1908.08016) writes an attack
as A(x, o) with a field o inside a ball. Here o is a grid of coordinates of the unit cube, so that it is drawn,
replayed and climbed like any other parameter.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import torch
from torch import Tensor

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.distributions import Distribution, Uniform
from art_domainrand.randomization.core.transform import Values

SIGNED = Uniform(-1.0, 1.0)
"""A latent that goes both ways."""

SHARE = Uniform(0.0, 1.0)
"""A latent that is an amount."""


@lru_cache(maxsize=256)
def latent_names(stem: str, *shape: int) -> tuple[str, ...]:
    """The names of a grid of coordinates in order: "noise_0_0", "noise_0_1" ..."""
    return tuple("_".join((stem, *map(str, index))) for index in itertools.product(*map(range, shape)))


def latent_grid(distribution: Distribution, stem: str, *shape: int) -> dict[str, Distribution]:
    """The parameters that a grid of coordinates is."""
    return dict.fromkeys(latent_names(stem, *shape), distribution)


def latents(values: Values, stem: str, *shape: int) -> Tensor:
    """The values of a grid of coordinates, (B, *shape)."""
    return torch.stack([values[name] for name in latent_names(stem, *shape)], dim=1).view(-1, *shape)


def within_rms(latent: Tensor, most: Tensor) -> Tensor:
    """Scale ``latent`` (B, ...) down to a root mean square of at most ``most`` (B,): projection onto an L2 ball."""
    flat = latent.flatten(1)
    squares = flat.square()
    # Added up in the order of the coordinates, whatever the batch is.
    total = squares.cumsum(1)[:, -1]
    # The constant keeps the root's slope finite where all are zero.
    factor = (most * math.sqrt(flat.shape[1]) / (total + 1e-12).sqrt()).clamp_max(1.0)
    return latent * factor.view(-1, *[1] * (latent.dim() - 1))


def for_channels(latent: Tensor, channels: int) -> Tensor:
    """A ``latent`` (B, 3, ...) of RGB for so many channels: itself for three, else its mean for all, (B, 1, ...)."""
    if channels == 3:
        return latent
    return (latent[:, :1] + latent[:, 1:2] + latent[:, 2:]) / 3


def each(value: Tensor) -> Tensor:
    """One number for each image, (B,) as (B, 1, 1, 1)."""
    return value.view(-1, 1, 1, 1)


def require_counts(**counts: object) -> None:
    """Raise ValueError unless every one is an int >= 1."""
    for name, count in counts.items():
        require(isinstance(count, int) and not isinstance(count, bool) and count >= 1, name, "be an int >= 1", count)

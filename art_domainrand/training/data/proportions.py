"""How many rows of a batch are originals, randomized copies and adversarial images, and of which images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.checks import require

KINDS = ("original", "randomized", "adversarial")


@dataclass(frozen=True)
class Mix:
    """A batch of ``sum(rows)`` rows: so many originals, randomized copies and adversarial images, in this order.

    The first kind that has rows shows every image of the batch exactly once, and so every image of the data exactly
    once an epoch: ``sources`` is how many images a batch is made of. The rows of the other kinds are spread over
    those images as evenly as can be, by chance where they do not come out even.
    """

    rows: tuple[int, int, int]

    @property
    def sources(self) -> int:
        """The number of different images in a full batch."""
        return next(count for count in self.rows if count)

    def of(self, images: int) -> tuple[int, int, int]:
        """The rows of a batch of ``images`` images, of which an epoch's last one has others, to the nearest number."""
        original, randomized, adversarial = (math.floor(count * images / self.sources + 0.5) for count in self.rows)
        return original, randomized, adversarial


def plan_batch(batch_size: int, proportions: Any, attacked: bool) -> Mix:
    """Divide ``batch_size`` rows by ``proportions``, three numbers >= 0 for :data:`KINDS` of which the ratio counts.

    Rows that do not divide evenly go where the remainder is largest. None means equal parts: of originals and
    randomized copies, and of adversarial images where there is an attack. Raises ValueError for anything else, for
    adversarial images without an attack (or the opposite), and if a kind with a share would get no row.
    """
    if proportions is None:
        proportions = (1, 1, 1) if attacked else (1, 1, 0)
    shares = tuple(proportions) if isinstance(proportions, (tuple, list, np.ndarray)) else ()
    numbers = all(isinstance(s, Real) and not isinstance(s, bool) and 0 <= float(s) < math.inf for s in shares)
    valid = len(shares) == 3 and numbers and sum(shares) > 0
    require(valid, "proportions", f"be three numbers >= 0, not all 0, for {', '.join(KINDS)}", proportions)
    require(attacked or shares[2] == 0, "proportions", "have no adversarial part where attack is None", proportions)
    require(not attacked or shares[2] > 0, "proportions", "have an adversarial part where attack is given", proportions)
    exact = [batch_size * share / sum(shares) for share in shares]
    rows = [math.floor(count) for count in exact]
    by_remainder = sorted(range(3), key=lambda k: rows[k] - exact[k])
    for k in by_remainder[: batch_size - sum(rows)]:
        rows[k] += 1
    enough = all(count > 0 for count, share in zip(rows, shares, strict=True) if share)
    require(enough, "batch_size", f"give every part of proportions={tuple(shares)} at least one row", batch_size)
    return Mix((rows[0], rows[1], rows[2]))


def spread_copies(keys: Tensor, copies: int) -> Tensor:
    """Positions of ``copies`` copies of the images of ``keys`` (B,): whole rounds in order, then those drawn first."""
    images = len(keys)
    return torch.cat((torch.arange(images).repeat(copies // images), keys.argsort()[: copies % images]))

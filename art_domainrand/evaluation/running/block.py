"""What a condition is performed on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.arrays import Array
from art_domainrand.core.checks import Text, check_counts, require

# By what share an example may lie outside its ball: attacks overshoot by the rounding of float32.
BALL_SLACK = 1e-4


@dataclass(frozen=True, eq=False)
class Block:
    """Some of the samples of the data, with all that random numbers depend on.

    :param samples: their places in the data, (n,) int64.
    :param x: the images, (n, C, H, W) float32 in the estimator's range; (n, H, W, C) where it has channels last.
    :param y: class indices, (n,) int64.
    :param sources: the names of their files, or "" for each.
    :param seed: of the evaluation.
    :param batch_size: how many images the model is shown at a time.
    :raises ValueError: for parts of different length, labels that are no class indices and another batch size.
    """

    samples: NDArray[np.int64]
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    sources: tuple[str, ...]
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size)
        n = len(self.samples)
        for name, part in (("x", self.x), ("y", self.y), ("sources", self.sources)):
            require(len(part) == n, name, f"have {n} entries, as samples has", len(part))
        whole = np.ndim(self.y) == 1 and np.issubdtype(np.asarray(self.y).dtype, np.integer)
        require(whole, "y", "hold class indices (n,)", Text(f"{self.y.dtype} of shape {np.shape(self.y)}"))
        require(not n or self.y.min() >= 0, "y", "hold class indices >= 0", self.y.min(initial=0))

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, which: NDArray[Any]) -> Self:
        """Some of the samples.

        :param which: their places in the block, or whether each is taken.
        """
        places = np.arange(len(self))[which]
        sources = tuple(self.sources[i] for i in places)
        return replace(self, samples=self.samples[places], x=self.x[places], y=self.y[places], sources=sources)

    def showing(self, x: NDArray[np.float32]) -> Self:
        """The same samples with other images.

        :param x: the images, in the form of ``self.x``.
        """
        return replace(self, x=x)


def lengths(change: Array, order: float) -> NDArray[np.float64]:
    """The norm of each of n changes, (n,)."""
    found: NDArray[np.float64] = np.linalg.norm(change.reshape(len(change), math.prod(change.shape[1:])), order, axis=1)
    return found


def pulled_back(given: Array, found: Array, radius: Any, order: float) -> Array:
    """Examples as they are within a ball; those outside pulled to its edge, on the line to their images.

    In L0, where all of that line but its end is as far away, the largest changes are kept.

    :param given: the images, (n, ...).
    :param found: an example of each.
    :param radius: of the ball, or of each image's own (n,).
    :param order: of the norm.
    """
    change = found.astype(np.float64) - given
    length = lengths(change, order)
    inside = length <= radius * (1 + BALL_SLACK)
    if order == 0:
        kept = largest_changes(change, radius)
        return np.where(like(inside, given) | kept, found, given)
    share = like(np.where(inside, 1.0, radius / np.where(length > 0, length, 1.0)), given)
    whole: Array = np.where(like(inside, given), found, (given + change * share).astype(np.float32))
    return whole


def largest_changes(change: Array, count: Any) -> NDArray[np.bool_]:
    """Which elements of each change (n, ...) are the ``count`` largest of it, of equal ones the first.

    :param change: the changes.
    :param count: how many, of all or of each (n,).
    """
    size = np.abs(change).reshape(len(change), math.prod(change.shape[1:]))
    rank = np.argsort(np.argsort(-size, axis=1, kind="stable"), axis=1, kind="stable")
    most = np.broadcast_to(np.asarray(count), len(change))[:, None]
    return (rank < most).reshape(change.shape)


def like(values: NDArray[Any], images: Array) -> NDArray[Any]:
    """One value of each image (n,), so that it broadcasts to images (n, ...)."""
    return values.reshape(-1, *[1] * (images.ndim - 1))

"""The order in which training sees images: a function of seed, epoch and image alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from art_domainrand.core.random import ORDER, key_of, permutations


def keyed_order(seed: int, n: int, *path: int) -> Tensor:
    """A random order of 0 to n - 1, (n,) int64 on the host, that hangs on the seed and a path of numbers."""
    return permutations(torch.tensor([key_of(seed, ORDER, *path)]), n)[0]


def keyed_rows(seed: int, n: int, batch_size: int, epoch: int) -> Iterator[Tensor]:
    """The rows of each batch of an epoch; a last batch of a single image joins the one before it."""
    order = keyed_order(seed, n, epoch)
    starts = list(range(0, n, batch_size))
    if len(starts) > 1 and n - starts[-1] == 1:
        starts.pop()
    for first, end in zip(starts, [*starts[1:], n], strict=True):
        yield order[first:end]

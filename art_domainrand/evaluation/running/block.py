"""Samples that are worked on together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Block:
    """Some samples of the data, and what every condition needs to know beside them.

    :param samples: their places in the data, (n,).
    :param x: images (n, C, H, W) in the estimator's range.
    :param y: class indices (n,).
    :param sources: where each comes from, such as the name of its file; empty where there is none.
    :param seed: the seed of the evaluation.
    :param batch_size: how many images a model is shown at a time.
    """

    samples: NDArray[np.int64]
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    sources: tuple[str, ...]
    seed: int
    batch_size: int

"""The global generators, which models, defences and ART draw from: seeded for a while and put back as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def preserved_global_rng(gpus: Sequence[int] | None = None) -> Iterator[None]:
    """The generators of Python, NumPy and torch are afterwards as they were before.

    :param gpus: The GPUs whose generators are meant, besides the CPU's; None means all.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(_all_gpus() if gpus is None else gpus):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def seeded_global_rng(seed: int | None, gpus: Sequence[int] | None = None) -> Iterator[None]:
    """The global generators are seeded inside and put back afterwards; with None for a seed they are left alone."""
    if seed is None:
        yield
        return
    with preserved_global_rng(gpus):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        for gpu in _all_gpus() if gpus is None else gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def _all_gpus() -> Sequence[int]:
    return range(torch.cuda.device_count())

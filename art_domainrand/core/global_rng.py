"""The global generators, which models, defences and ART draw from: read, seeded, and put back as they were.

Everywhere ``device`` says which generators of GPUs belong to them: that of this device, none for a CPU, those of all
GPUs for None, if any GPU has been used so far.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def global_rng_state(device: torch.device | None = None) -> dict[str, Any]:
    """The states of torch's, NumPy's and Python's generators, in tensors and plain values."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(gpu) for gpu in _gpus(device)],
        "numpy": torch.from_numpy(np.array(keys, dtype=np.int64)),
        "numpy_rest": [str(name), int(position), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }


def restore_global_rng(state: dict[str, Any], device: torch.device | None = None) -> None:
    """Go on from a state; one that was read without a GPU, or with another number of them, leaves the others alone."""
    torch.set_rng_state(state["torch"].cpu())
    for gpu, own in zip(_gpus(device), state["cuda"], strict=False):
        torch.cuda.set_rng_state(own.cpu(), gpu)
    name, position, has_gauss, gauss = state["numpy_rest"]
    keys = state["numpy"].cpu().numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, gauss))  # noqa: NPY002
    version, words, following = state["python"]
    random.setstate((version, tuple(words), following))


@contextmanager
def preserved_global_rng(device: torch.device | None = None) -> Iterator[None]:
    """The generators are afterwards as they were before, also after an exception."""
    before = global_rng_state(device)
    try:
        yield
    finally:
        restore_global_rng(before, device)


def seed_global_rng(seed: int, device: torch.device | None = None) -> None:
    """Seed the generators."""
    torch.default_generator.manual_seed(seed)
    for gpu in _gpus(device):
        with torch.cuda.device(gpu):
            torch.cuda.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


@contextmanager
def seeded_global_rng(seed: int | None, device: torch.device | None = None) -> Iterator[None]:
    """The generators are seeded inside and put back afterwards; with None for a seed they are left alone."""
    if seed is None:
        yield
        return
    with preserved_global_rng(device):
        seed_global_rng(seed, device)
        yield


def _gpus(device: torch.device | None) -> list[torch.device]:
    if device is None:
        used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())] if used else []
    return [device] if device.type == "cuda" else []

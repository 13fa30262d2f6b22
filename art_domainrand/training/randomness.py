"""The randomness that a training run finds: global generators, and the streams of preprocessors and modules."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from art_domainrand.core.random import RANK
from art_domainrand.core.streams import Stream
from art_domainrand.training.module import Randomized


def random_state(device: torch.device) -> dict[str, Any]:
    """The global random states, which dropout and defences in NumPy draw from, in tensors and plain values."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": torch.from_numpy(np.array(keys, dtype=np.int64)),
        "numpy_rest": [str(name), int(position), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Continue the global random states from where they were."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
    name, position, has_gauss, gauss = state["numpy_rest"]
    keys = state["numpy"].cpu().numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, gauss))  # noqa: NPY002
    version, words, following = state["python"]
    random.setstate((version, tuple(words), following))


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Give the global random states back as they were, also after an exception."""
    before = random_state(device)
    try:
        yield
    finally:
        restore_random_state(before, device)


def seed_global_generators(seed: int, device: torch.device) -> None:
    """Seed the global generators of torch, on the CPU and on ``device``, of NumPy and of Python."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


def streams_of(classifier: Any) -> list[Stream]:
    """The private streams of the classifier's own random preprocessors, and of such modules in its model."""
    own = [module.randomization for module in randomized_modules(classifier.model)]
    found = (getattr(operation, "_stream", None) for operation in (*classifier.preprocessing_operations, *own))
    return [stream for stream in found if isinstance(stream, Stream)]


def randomized_modules(model: nn.Module) -> list[Randomized]:
    """The modules in ``model`` that randomize their input."""
    return [module for module in model.modules() if isinstance(module, Randomized)]


@contextmanager
def own_branches(streams: list[Stream], rank: int) -> Iterator[None]:
    """Let the streams of every process but the first go on paths of their own, so that all draw differently."""
    with ExitStack() as stack:
        for stream in streams if rank else ():
            stack.enter_context(stream.branched(RANK, rank))
        yield

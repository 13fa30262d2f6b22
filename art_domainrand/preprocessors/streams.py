"""Where a preprocessor's randomness comes from, and how it finds a draw again."""

from __future__ import annotations

import os
from collections import deque
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from art_domainrand.core.random import hash_field
from art_domainrand.randomization.core.transform import Draw

# What the next number in a stream's path means; the same number never means two things.
_CALL, _COPY, _WORKER, _FORK = range(4)


class Stream:
    """A sequence of seeds that no other stream repeats, without any generator state.

    The n-th seed is a hash of the root seed, the stream's path and n (NumPy's ``SeedSequence``). A copy (by ``copy``,
    ``deepcopy`` or ``pickle``) continues on a path of its own, and so does a forked process: a worker of a
    ``torch.utils.data.DataLoader`` under the seed its loader gave it (so that it repeats if torch is seeded and differs
    from epoch to epoch), any other under its process id.

    ``seed`` is an int >= 0, or None for one from the operating system.
    """

    def __init__(self, seed: int | None, path: tuple[int, ...] = ()) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ValueError(f"seed must be None or an int >= 0, got {seed!r}")
        self._root = int(np.random.SeedSequence().entropy) if seed is None else int(seed)  # type: ignore[arg-type]
        self._path = path
        self._calls = 0
        self._copies = 0
        self._process = os.getpid()

    def next_seed(self) -> int:
        """The next seed, in [0, 2^63)."""
        if self._process != os.getpid():
            worker = get_worker_info()
            branch = (_FORK, os.getpid()) if worker is None else (_WORKER, worker.seed)
            self._path, self._calls, self._copies = (*self._path, *branch), 0, 0
            self._process = os.getpid()
        self._calls += 1
        sequence = np.random.SeedSequence(self._root, spawn_key=(*self._path, _CALL, self._calls))
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def __getstate__(self) -> dict[str, Any]:
        self._copies += 1
        return {"root": self._root, "path": (*self._path, _COPY, self._copies)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["root"], state["path"])  # type: ignore[misc]


class RecentDraws:
    """The draws of the last few batches, found again by the pixels of the batch."""

    def __init__(self, length: int = 4) -> None:
        self._entries: deque[tuple[Tensor, Draw]] = deque(maxlen=length)

    def remember(self, x: Tensor, draw: Draw) -> None:
        """Keep ``draw`` as the one of the batch ``x``."""
        self._entries.append((fingerprints(x), draw))

    def find(self, x: Tensor) -> Draw | None:
        """The latest draw for a batch with the pixels of ``x`` in the order of ``x``, or None."""
        wanted = fingerprints(x)
        for known, draw in reversed(self._entries):
            if known.device == wanted.device and torch.equal(known, wanted):
                return draw
        return None


def fingerprints(x: Tensor) -> Tensor:
    """One int32 per image, (B + 1,): its bit patterns weighted by odd random integers and summed modulo 2^32.

    A change in a single number always changes it, as an odd factor is invertible; any other one does but for one case
    in 2^32. The last entry stands for shape and dtype.
    """
    rows = x.detach().flatten(1).contiguous()
    if rows.element_size() >= 4:
        bits = rows.view(torch.int32)
    else:
        bits = (rows.view(torch.int16) if rows.element_size() == 2 else rows).to(torch.int32)
    kind = torch.full((1,), hash((tuple(x.shape), str(x.dtype))) % (1 << 31), dtype=torch.int32, device=x.device)
    return torch.cat(((bits * _weights(bits.shape[1], x.device)).sum(1, dtype=torch.int32), kind))


@lru_cache(maxsize=8)
def _weights(size: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return hash_field(torch.zeros(1, dtype=torch.int64, device=device), size)[0] | 1

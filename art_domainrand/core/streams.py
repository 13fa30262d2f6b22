"""Keys for images that come without ids: a running count stands for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from art_domainrand.core.random import COPY, DRAW, FORK, WORKER, checked_seed, key_of, keys_of, seed_of


class Stream:
    """The keys of one sample after another, which no other stream repeats; there is no generator state.

    The n-th key is a hash of the root seed, the stream's path and n, so it does not matter how many are taken at a
    time. A copy (by ``copy``, ``deepcopy`` or ``pickle``) goes on along a path of its own, and so does a forked
    process: a worker of a ``torch.utils.data.DataLoader`` under the seed its loader gave it (so that it repeats if
    torch is seeded and differs from epoch to epoch), any other under its process id.

    :param seed: An int >= 0, or None for one from the operating system.
    :raises ValueError: for another seed.
    """

    def __init__(self, seed: int | None, path: tuple[int, ...] = ()) -> None:
        self._root = checked_seed(seed)
        self._path = path
        self._calls = 0
        self._copies = 0
        self._process = os.getpid()

    def keys(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """The keys (n,) int64 of the next ``n`` samples."""
        first = self._pass(n)
        return keys_of(key_of(self._root, *self._path), DRAW, torch.arange(first, first + n, device=device))

    def next_seed(self) -> int:
        """A seed in [0, 2^63) for the next sample alone."""
        return seed_of(key_of(self._root, *self._path), DRAW, self._pass(1))

    def state(self) -> dict[str, Any]:
        """Where the stream stands, in plain values; unlike its pickle, which branches off."""
        # A seed may have more bits than a file that holds plain values only.
        return {"root": str(self._root), "path": list(self._path), "calls": self._calls, "copies": self._copies}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where a stream stood."""
        self._root, self._path = int(state["root"]), tuple(state["path"])
        self._calls, self._copies = state["calls"], state["copies"]

    @contextmanager
    def branched(self, *path: int) -> Iterator[None]:
        """Go on along another path inside the ``with`` block, so as to give other keys there."""
        before, self._path = self._path, (*self._path, *path)
        try:
            yield
        finally:
            self._path = before

    @contextmanager
    def from_the_start(self, seed: int) -> Iterator[None]:
        """Be a new stream of another seed inside the ``with`` block; afterwards go on as if nothing had been drawn."""
        before = (self._root, self._path, self._calls, self._copies)
        self._root, self._path, self._calls, self._copies = seed, (), 0, 0
        try:
            yield
        finally:
            self._root, self._path, self._calls, self._copies = before

    def _pass(self, n: int) -> int:
        """Count ``n`` samples; how many there were before."""
        if self._process != os.getpid():
            worker = get_worker_info()
            branch = (FORK, os.getpid()) if worker is None else (WORKER, worker.seed)
            self._path, self._calls, self._copies = (*self._path, *branch), 0, 0
            self._process = os.getpid()
        self._calls += n
        return self._calls - n

    def __getstate__(self) -> dict[str, Any]:
        self._copies += 1
        return {"root": self._root, "path": (*self._path, COPY, self._copies)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["root"], state["path"])  # type: ignore[misc]

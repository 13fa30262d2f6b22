"""Who does which unit: one process all of them, or several that ``torchrun`` has started, each the next one left.

Processes share a folder and a store of keys (the c10d rendezvous that ``torchrun`` has made), and nothing else: there
is no group of processes and no collective operation, so nobody waits for another's attack. A unit is claimed by
counting up; whoever finds no unit left waits until those of the others are on disk.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from torch.distributed import is_available
from torch.distributed.rendezvous import rendezvous

from art_domainrand.evaluation.running.errors import EvaluationError, first_line

WorkUnit = TypeVar("WorkUnit")

PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two looks at the store: at first, and after a while."""

BLOCKS_EACH = 8
"""From how many blocks for each process on one claims whole blocks, which are then read once."""

FAREWELL = 60.0
"""Seconds that the process that holds the store stays for the others."""


class Claims(ABC):
    """Hands out work to this process.

    - rank: the place of this process.
    - world_size: how many there are.
    - patience: seconds to wait for a file that another process has written.
    """

    rank: int = 0
    world_size: int = 1
    patience: float = 0.0

    @abstractmethod
    def begin(self) -> None:
        """Let the others know that the folder is ready, or wait until it is."""

    @abstractmethod
    def claimed(self, chunks: Sequence[Sequence[WorkUnit]]) -> Iterator[WorkUnit]:
        """The units that this process is to do; each counts as done when the next is asked for."""

    @abstractmethod
    def done(self) -> int:
        """How many units are done by now, by all processes."""

    @abstractmethod
    def wait(self, units: int) -> None:
        """Wait until all units are done.

        :raises EvaluationError: if another process says that it failed.
        """

    @abstractmethod
    def fail(self, reason: str) -> None:
        """Tell the others that this process cannot go on."""

    @abstractmethod
    def leave(self) -> None:
        """Let the others know that this process needs nothing more; the one that holds the store waits for them."""


class Alone(Claims):
    """One process, which does everything."""

    def __init__(self) -> None:
        self.count = 0

    def begin(self) -> None:
        pass

    def claimed(self, chunks: Sequence[Sequence[WorkUnit]]) -> Iterator[WorkUnit]:
        for chunk in chunks:
            for unit in chunk:
                yield unit
                self.count += 1

    def done(self) -> int:
        return self.count

    def wait(self, units: int) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass

    def leave(self) -> None:
        pass


class Shared(Claims):
    """One of several processes, perhaps on several machines.

    :param store: where keys are counted up, such as a ``torch.distributed.TCPStore``.
    :param rank: the place of this process.
    :param world_size: how many there are.
    :param name: what this evaluation is called in the store, the same in all processes.
    :param holds: whether the store ends with this process.
    """

    patience = 60.0

    def __init__(self, store: Any, rank: int, world_size: int, name: str, *, holds: bool = False) -> None:
        self.store, self.rank, self.world_size, self.name, self.holds = store, rank, world_size, name, holds

    def begin(self) -> None:
        if self.rank == 0:
            self._add("ready")
        else:
            self._until(lambda: self._add("ready", 0) > 0)

    def claimed(self, chunks: Sequence[Sequence[WorkUnit]]) -> Iterator[WorkUnit]:
        while (place := self._add("claimed") - 1) < len(chunks):
            for unit in chunks[place]:
                yield unit
                self._add("done")

    def done(self) -> int:
        return self._add("done", 0)

    def wait(self, units: int) -> None:
        self._until(lambda: self.done() >= units)

    def fail(self, reason: str) -> None:
        with suppress(RuntimeError):  # the reason itself is raised, whether the others can be told or not
            self.store.set(f"{self.name}/reason", f"process {self.rank}: {reason}")
            self._add("failed")

    def leave(self) -> None:
        with suppress(RuntimeError):
            self._add("left")
            if self.holds:
                until = time.monotonic() + FAREWELL
                self._until(lambda: self._add("left", 0) >= self.world_size or time.monotonic() > until, heed=False)

    def _add(self, key: str, amount: int = 1) -> int:
        try:
            return int(self.store.add(f"{self.name}/{key}", amount))
        except RuntimeError as error:  # the process that held it has ended
            raise EvaluationError(f"the store that processes share does not answer: {first_line(error)}") from error

    def _until(self, holds: Any, *, heed: bool = True) -> None:
        pause = PAUSE
        while not holds():
            if heed and self._add("failed", 0):
                raise EvaluationError(f"another process failed: {self.store.get(f'{self.name}/reason').decode()}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


CALLS = {"evaluate": 0}
"""How many shared evaluations this process has begun: the next has a name of its own in the store."""


def claims_of_environment(*, shared: bool) -> Claims:
    """The claims of this process by what ``torchrun`` has put into the environment.

    :param shared: whether there is a folder that processes can share; without one each does everything.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if not shared or world_size < 2 or not is_available():
        return Alone()
    store, rank, world_size = next(rendezvous("env://", timeout=timedelta(minutes=30)))
    CALLS["evaluate"] += 1
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    name = f"art_domainrand/evaluate/{attempt}/{CALLS['evaluate']}"
    return Shared(store, rank, world_size, name, holds=rank == 0 and not agent)


def local_device(device: str | None, claims: Claims, gpus: int) -> str | None:
    """The device of this process: of several on a machine with GPUs each has its own.

    :param device: what was asked for.
    :param claims: says whether there are several processes.
    :param gpus: how many GPUs this machine has.
    """
    if device != "cuda" or claims.world_size < 2 or gpus == 0:
        return device
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % gpus}"


def chunks_of(units: Sequence[Any], blocks: int, world_size: int) -> list[list[Any]]:
    """Units as they are claimed: one by one, or, where there are many blocks, all of a block, which is read once.

    :param units: units with a ``block``, those of one block in a row.
    :param blocks: how many blocks there are.
    :param world_size: how many processes there are.
    """
    if world_size > 1 and blocks < BLOCKS_EACH * world_size:
        return [[unit] for unit in units]
    chunks: dict[int, list[Any]] = {}
    for unit in units:
        chunks.setdefault(unit.block, []).append(unit)
    return list(chunks.values())

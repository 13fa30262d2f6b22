"""What a run costs: seconds and memory, which depend on the machine and stand in files of their own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

COSTS = "cost"
"""The folder of what each process has noted."""


class Ledger:
    """Seconds of units, noted when each is finished.

    :param folder: the folder of the evaluation, where this survives the end of the process; None for none.
    :param rank: the place of this process.
    """

    def __init__(self, folder: Path | None, rank: int = 0) -> None:
        self.entries: list[dict[str, Any]] = []
        self.path = None if folder is None else folder / COSTS / f"{rank:04d}.jsonl"

    @contextmanager
    def noting(self, model: str, title: str) -> Iterator[None]:
        """Note how long it takes, if it ends well.

        :param model: the model's name.
        :param title: what is done.
        """
        start = time.perf_counter()
        yield
        entry = {"model": model, "title": title, "seconds": round(time.perf_counter() - start, 4)}
        self.entries.append(entry | {"peak_bytes": peak_memory(), "peak_gpu_bytes": peak_gpu_memory()})

    def keep(self) -> None:
        """Write the last entry to disk."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(self.entries[-1]))  # a line that was cut short stays by itself

    def total(self) -> dict[str, Any]:
        """The cost so far, with that of other processes and of runs that were stopped, where there is a folder."""
        entries = self.entries if self.path is None else list(noted(self.path.parent))
        seconds: dict[str, dict[str, float]] = {}
        for entry in entries:
            of = seconds.setdefault(entry["model"], {})
            of[entry["title"]] = round(of.get(entry["title"], 0.0) + entry["seconds"], 4)
        return {
            "seconds": round(sum(entry["seconds"] for entry in entries), 3),
            "peak_bytes": max((entry["peak_bytes"] for entry in entries), default=peak_memory()),
            "peak_gpu_bytes": max((entry["peak_gpu_bytes"] for entry in entries), default=0),
            "models": seconds,
        }


def noted(folder: Path) -> Iterator[dict[str, Any]]:
    """What processes have noted; lines that one was writing when it was killed are left out."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and {"model", "title", "seconds", "peak_bytes", "peak_gpu_bytes"} <= set(entry):
                yield entry


def peak_memory() -> int:
    """The most memory that this process has had so far, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_gpu_memory() -> int:
    """The most memory in tensors on a GPU so far, in bytes; 0 without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]

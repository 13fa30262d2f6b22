"""Memory of the device: a batch in parts, halved when memory runs out, and copies that nobody waits for."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")


class Parts:
    """Runs a function over the rows of a batch, as many at a time as memory has been found to hold."""

    def __init__(self) -> None:
        self.largest: int | None = None

    def over(self, n: int, run: Callable[[slice], Part]) -> list[Part]:
        """``run(rows)`` for consecutive slices that cover ``n`` rows; MemoryError of the last row is raised."""
        found: list[Part] = []
        start = 0
        while start < n or (n == 0 and not found):
            rows = slice(start, n if self.largest is None else min(n, start + self.largest))
            try:
                found.append(run(rows))
            except RuntimeError as error:
                size = rows.stop - rows.start
                if not is_out_of_memory(error) or size <= 1:
                    raise
                self.largest = (size + 1) // 2
            else:
                start = rows.stop
                if n == 0:
                    break
                continue
            # Outside the handler, where the traceback no longer holds on to the tensors that did not fit.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return found


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch could not allocate: its own error on CUDA, a plain RuntimeError on the CPU and elsewhere."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in said or "out of memory" in said


def onto(device: torch.device | str, values: Tensor) -> Tensor:
    """``values`` on the device; from pinned memory, so that nobody waits for what the device is doing."""
    loose = torch.device(device).type == "cuda" and values.is_cpu and not values.is_pinned()
    return (values.pin_memory() if loose else values).to(device, non_blocking=True)

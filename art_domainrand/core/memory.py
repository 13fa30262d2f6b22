"""Memory of the device: a batch in parts, halved when memory runs out, and copies that nobody waits for."""

from collections.abc import Iterator
from types import TracebackType

import torch
from torch import Tensor


class Part:
    """Some ``rows`` of a batch to be worked on inside ``with``, which takes note if memory runs out there."""

    def __init__(self, rows: slice) -> None:
        self.rows, self.fits = rows, True

    def __enter__(self) -> slice:
        return self.rows

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        divisible = self.rows.stop - self.rows.start > 1
        self.fits = not (divisible and isinstance(error, RuntimeError) and is_out_of_memory(error))
        return not self.fits


class Parts:
    """Hands out the rows of a batch, as many at a time as memory has been found to hold."""

    def __init__(self) -> None:
        self.largest: int | None = None

    def over(self, n: int) -> Iterator[Part]:
        """Consecutive parts that cover ``n`` rows, one empty part for none; one that did not fit comes again, halved.

        Memory that runs out in a part of a single row is an error.
        """
        start = 0
        while start < n or start == n == 0:
            stop = n if self.largest is None else min(n, start + self.largest)
            part = Part(slice(start, stop))
            yield part
            if part.fits:
                start = max(stop, 1)
                continue
            self.largest = (stop - start + 1) // 2
            # Outside the handler, where the traceback no longer holds on to the tensors that did not fit.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch could not allocate: its own error on CUDA, a plain RuntimeError on the CPU and elsewhere."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in said or "out of memory" in said


def onto(device: torch.device | str, values: Tensor) -> Tensor:
    """``values`` on the device; from pinned memory, so that nobody waits for what the device is doing."""
    if torch.device(device).type != "cuda" or not values.is_cpu:
        return values.to(device)  # the way back to the host must be waited for
    return (values if values.is_pinned() else values.pin_memory()).to(device, non_blocking=True)

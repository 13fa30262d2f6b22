"""How a preprocessor finds the draw of a batch again."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import torch
from torch import Tensor

from art_domainrand.core.hashing import hash_field
from art_domainrand.randomization.core.draw import Draw


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

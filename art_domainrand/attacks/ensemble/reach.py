"""Which samples are worth more steps, by what has become of their own margin."""

from collections.abc import Callable

import torch
from torch import Tensor

from art_domainrand.attacks.engine.inputs import Inputs

# Samples whose margin no stage has lowered by even a hundredth go on too: their gradients may be masked.
STUCK = 0.99

Worthwhile = Callable[[Tensor, Tensor], Tensor]
"""Samples (A,) and the largest margins (A,) found before -> which of them to run on."""


def within_reach(inputs: Inputs, most: int, reach: float) -> Worthwhile | None:
    """Says which samples have lost enough of their clean margin to be worth more steps, or next to nothing of it."""
    if reach >= 1:
        return None

    def worthwhile(ids: Tensor, margin: Tensor) -> Tensor:
        before = inputs.clean(most).margin[ids]
        left = margin / torch.where(before < 0, before, -torch.inf)
        return (left <= reach) | (left >= STUCK)

    return worthwhile

"""The steps of Square attack: random search by scores alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from art_domainrand.attacks.blackbox.proposals import (
    nearest_allowed,
    square_of_signs,
    window_of_mountains,
)
from art_domainrand.attacks.blackbox.windows import Planes, window_share
from art_domainrand.attacks.engine.steps import StepRule
from art_domainrand.core.norms import Ball, per_sample
from art_domainrand.core.random import derive

# The share of pixels that the first windows cover (Andriushchenko et al. 2020, section 5).
FIRST_SHARE = 0.8


OwnValue = Callable[[Tensor, Any], Tensor]
"""Points (A, ...) and the samples (A,) they belong to -> what is raised, (A,)."""


@dataclass(frozen=True)
class SquarePlan:
    """How Square attack is run.

    :param queries: How many changes are tried of every sample; the start takes one query more.
    :param first_share: The share of pixels that the first windows cover, > 0 and <= 1.
    :param run: Tells the random numbers of one run from those of another.
    """

    queries: int
    first_share: float = FIRST_SHARE
    run: int = 0


class SquareSteps(StepRule):
    """Random search (Andriushchenko et al. 2020, algorithm 1): a window of the best point so far is changed at random.

    A change that is as good as the best point is kept too, so that the search may cross a plateau of the scores.

    :param keys: (A,), of the samples.
    :param own: What is raised in place of the margin, and whose the samples (A,) are; or None.
    :param quantize: Try 8-bit images.
    """

    def __init__(
        self,
        ball: Ball,
        mask: Tensor | None,
        keys: Tensor,
        planes: Planes,
        plan: SquarePlan,
        own: tuple[OwnValue, Any] | None = None,
        *,
        quantize: bool = False,
    ) -> None:
        super().__init__(ball, mask)
        self.keys, self.planes, self.plan, self.own, self.quantize = keys, planes, plan, own, quantize
        self.best = ball.x
        self.value = torch.full((len(ball.x),), -torch.inf, dtype=torch.float32, device=ball.x.device)

    def takes_gradient(self, i: int) -> bool:
        return False

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        value = value if self.own is None else self.own[0](adv, self.own[1])
        wins = value >= self.value
        self.best = torch.where(per_sample(wins, adv), adv, self.best)
        self.value = torch.where(wins, value, self.value)
        propose = square_of_signs if self.ball.norm == torch.inf else window_of_mountains
        share = window_share(i, self.plan.queries, self.plan.first_share)
        tried = propose(self.ball, self.planes, self.best, derive(self.keys, i), share)
        return nearest_allowed(self.ball, self.mask, tried, quantize=self.quantize)

    def take(self, index: Tensor) -> None:
        self.keys, self.best, self.value = self.keys[index], self.best[index], self.value[index]
        self.own = None if self.own is None else (self.own[0], self.own[1][index])
        super().take(index)

"""Odds of a choice between domains that follow the worst of them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.checks import Text, require
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Draw
from art_domainrand.randomization.learned.groups import group_weights
from art_domainrand.randomization.learned.ranges import LEAST_ODDS
from art_domainrand.training.learned.gradient import LearnedRanges


class GroupOdds(LearnedRanges):
    """The members of every :class:`OneOf` are domains, drawn more often the higher the loss on them.

    :param rate: the step of the exponentiated gradient.
    """

    learns_from: ClassVar[str | None] = "losses"

    def __init__(self, pipeline: Pipeline, rate: float) -> None:
        super().__init__(pipeline, "box")
        rule = "have a OneOf, whose members are the domains"
        require(len(self.learned.choices) > 0, "randomization", rule, Text(repr(pipeline)))
        self.rate = rate
        self._last: list[tuple[Tensor, Tensor]] = []

    def place(self, draw: Draw) -> Draw:
        placed = super().place(draw)
        u = placed.u.cpu()
        self._last = [
            (
                torch.stack([selector.acts(u) for selector in choice.selectors], 1),
                torch.searchsorted(
                    torch.tensor(choice.odds, dtype=u.dtype).cumsum(0), u[:, list(choice.columns)].contiguous()
                ),
            )
            for choice in self.learned.choices
        ]
        return placed

    @torch.no_grad()
    def learn(self, values: Tensor, rows: Tensor) -> None:
        losses = values.detach().float().cpu()
        for logits, (acts, member) in zip(self.learned.logits, self._last, strict=True):
            seen = acts[rows]
            each = losses[:, None].expand(seen.shape)
            # Not the odds that are drawn from: these keep a share for everyone, which would add up step by step.
            odds = group_weights(torch.softmax(logits, 0), each[seen], member[rows][seen], self.rate)
            logits.copy_(odds.clamp_min(LEAST_ODDS / len(odds)).log())

"""Adversarial ranges: they climb the training loss that the model goes down."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from art_domainrand.randomization.learned.unrolled import weighted_mean
from art_domainrand.training.learned.gradient import GradientRanges, LearnedBatch


class AscendingRanges(GradientRanges):
    """Ranges that move to where the training loss is high, as far as their entropy lets them."""

    def uphill(self, batch: LearnedBatch) -> Sequence[Tensor]:
        losses = batch.losses(batch.weights, batch.images(self.learned), batch.y)
        loss = weighted_mean(losses, self.learned.log_odds(batch.draw).to(losses.device))
        return torch.autograd.grad(loss, list(self.learned.parameters()), materialize_grads=True)

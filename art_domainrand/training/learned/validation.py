"""Meta-learned ranges: they follow the loss on another domain through the model's next step."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from art_domainrand.core.checks import Text, require
from art_domainrand.core.random import META, keys_of, uniform
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.learned.unrolled import (
    Weights,
    by_differences,
    noise_share,
    through_step,
    weighted_mean,
)
from art_domainrand.training.learned.gradient import GradientRanges, LearnedBatch
from art_domainrand.training.learned.settings import MetaRanges

MOSTLY_NOISE = 0.5
"""A validation domain is too small where more than this share of its gradient's squared length is sampling noise."""


class MetaLearnedRanges(GradientRanges):
    """Ranges that move so that a step of the model on them lowers its loss on the validation domain.

    :param settings: how they move.
    :param domain: images (N, ...) and class indices (N,) of the validation domain; None until they are known.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        settings: MetaRanges,
        domain: tuple[Tensor, Tensor] | None,
    ) -> None:
        super().__init__(pipeline, settings)
        self.method, self.batch_size, self.domain = settings.method, settings.batch_size, domain
        self.judged = self.warned = False

    def accept(self, domain: tuple[Tensor, Tensor] | None) -> None:
        rule = 'hold at least 8 images for ranges="meta", unless MetaRanges has a validation_domain'
        self.domain = self.domain or domain
        images = 0 if self.domain is None else len(self.domain[0])
        require(images >= 8, "validation_data", rule, Text(f"{images}"))

    def end_epoch(self) -> None:
        super().end_epoch()
        self.judged = False

    def uphill(self, batch: LearnedBatch) -> Sequence[Tensor]:
        x, y = self.validation(batch)
        self.judge(batch, x, y)

        def train(weights: Weights) -> Tensor:
            losses = batch.losses(weights, batch.images(self.learned), batch.y)
            return weighted_mean(losses, self.learned.log_odds(batch.draw).to(losses.device))

        def validate(weights: Weights) -> Tensor:
            return batch.losses(weights, x, y).mean()

        find = through_step if self.method == "exact" else by_differences
        found = find(train, validate, batch.weights, list(self.learned.parameters()), batch.rate, batch.whole)
        return [-gradient for gradient in found.gradients]

    def validation(self, batch: LearnedBatch) -> tuple[Tensor, Tensor]:
        """Some of the domain's images, chosen by the batch's key alone."""
        assert self.domain is not None
        x, y = self.domain
        rows = torch.arange(len(x))
        if len(x) > self.batch_size:
            rows = uniform(keys_of(batch.key, META, rows), ()).argsort()[: self.batch_size]
        device = batch.clean.device
        return x[rows].to(device), y[rows].to(device)

    def judge(self, batch: LearnedBatch, x: Tensor, y: Tensor) -> None:
        """Once an epoch, say whether the domain is too small to tell where its loss falls."""
        if self.judged or self.warned:
            return
        self.judged = True
        assert self.domain is not None
        share = len(x) / len(self.domain[0])  # of the domain that a step looks at; the steps see all of it in turn
        noise = share * float(noise_share(lambda weights: batch.losses(weights, x, y), batch.weights))
        if noise > MOSTLY_NOISE:
            self.warned = True
            warnings.warn(
                f"validation domain too small: {min(noise, 1.0):.0%} of the squared length of its loss's gradient is "
                f"sampling noise with {len(self.domain[0])} images, more than {MOSTLY_NOISE:.0%}; give more images",
                RuntimeWarning,
                stacklevel=2,
            )

"""Free adversarial training: every pass over a batch updates weights and examples from one gradient."""

from __future__ import annotations

from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor

from art_domainrand.core.checks import clip_bounds, norm_order, sizes_for
from art_domainrand.core.norms import Ball, ball


class FreePerturbation:
    """The perturbation of Shafahi et al. 2019, algorithm 1, which is not reset between batches.

    ``delta`` (B, ...) has a row for each place in a batch, which goes on from batch to batch; None before the first.
    """

    def __init__(self, classifier: PyTorchClassifier, attack: Any) -> None:
        self.classifier, self.attack = classifier, attack
        self.delta: Tensor | None = None
        self.around: Ball
        self.near: Ball
        self.step: Any

    def begin(self, images: Tensor) -> None:
        """Take the images of a batch (B, ...), and the radius that the attack has by now."""
        norm = norm_order(self.attack.norm)
        low, high = clip_bounds(self.classifier.clip_values, tuple(images.shape[1:]), images.device)
        eps = sizes_for("eps", self.attack.eps, norm, tuple(images.shape))
        eps = eps.to(images.device) if isinstance(eps, Tensor) else eps
        if self.delta is None or self.delta.shape[1:] != images.shape[1:]:
            self.delta = torch.zeros_like(images)
        if len(self.delta) < len(images):
            self.delta = torch.cat((self.delta, torch.zeros_like(images[len(self.delta) :])))
        self.around, self.near = ball(norm, images, eps, low, high), ball(norm, torch.zeros_like(images), eps)
        self.step = eps.to(images.dtype) if isinstance(eps, Tensor) else eps

    def shown(self, images: Tensor) -> Tensor:
        """The images as perturbed by now, a leaf that takes a gradient."""
        assert self.delta is not None
        return self.around.project(images + self.delta[: len(images)]).detach().requires_grad_()

    def climb(self, gradient: Tensor) -> None:
        """Move the perturbation up ``gradient`` (B, ...) of the loss."""
        assert self.delta is not None
        uphill = gradient.nan_to_num()  # float16 overflows while its scale settles
        delta = self.near.project(self.delta[: len(gradient)])
        self.delta[: len(gradient)] = self.near.ascend(delta, uphill, self.step)

"""Images that a network perturbs: while it is trained, and in the one pass of an attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.core.losses import margin
from art_domainrand.core.norms import Ball, Size, lp_norm
from art_domainrand.core.random import ATTACK, EPOCH, integers, keys_of
from art_domainrand.generative.perturbing import PerturbationNetwork

LEAST_SIZE = 1e-12
"""In place of a size of zero, by which nothing can be divided."""


@dataclass(frozen=True)
class Perturbing:
    """How a network's outputs in (-1, 1) become images within the balls around ``inputs``.

    In L-inf they are scaled by eps and never leave the ball; in the other norms by the range of pixels, and projected.
    """

    inputs: Inputs
    balls: Balls

    def unit(self, images: Tensor) -> Tensor:
        """Images in [-1, 1]; as they are where the estimator has no clip values."""
        low, high = self.inputs.low, self.inputs.high
        return images if low is None or high is None else (images - low) / (high - low) * 2 - 1

    def scale(self, which: Which) -> Size:
        """What the outputs are multiplied by."""
        if self.balls.norm == torch.inf:
            return self.balls.rows(self.balls.eps, which, self.inputs.x.dtype)
        low, high = self.inputs.low, self.inputs.high
        return 1.0 if low is None or high is None else high - low

    def perturbation(self, which: Which, direction: Tensor) -> Tensor:
        """The perturbation that the outputs mean, before the projection, zero where the mask is."""
        return self.balls.masked(direction * self.scale(which), which)

    def made(self, network: PerturbationNetwork, which: Which) -> Tensor:
        """The adversarial images of some inputs, in one pass of the network, exactly within their balls."""
        ball: Ball = self.balls.around(which)
        targets = self.inputs.y(which) if network.shape.classes else None
        with torch.no_grad():
            direction = network(self.unit(ball.x), targets)
            return ball.settle(ball.project(ball.x + self.perturbation(which, direction)))


class TrainingBatch:
    """A batch of images to train on: what a perturbation leads to, and what the classifier says of it."""

    def __init__(self, perturbing: Perturbing, attack: Any, rows: Tensor, epoch: int, seed: int) -> None:
        inputs = perturbing.inputs
        self.perturbing = perturbing
        self.wanted = float(attack.eps if attack.hinge is None else attack.hinge)
        self.rows = rows.to(inputs.device)
        self.ball = perturbing.balls.around(self.rows)
        self.x = self.ball.x
        labels = inputs.y(self.rows)
        self.targets = other_classes(labels, seed, self.rows, epoch) if attack.targeted else None
        y = labels if self.targets is None else self.targets
        criterion = Criterion(y, inputs.sign, bounded_margin(float(attack.confidence), inputs.sign))
        self.evaluator = inputs.evaluator(self.rows, criterion, EPOCH, epoch)

    def unit(self, images: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        return self.perturbing.unit(images)

    def perturbed(self, direction: Tensor) -> Tensor:
        """The images within the ball that the outputs lead to, differentiably."""
        return self.ball.project(self.x + self.perturbing.perturbation(self.rows, direction))

    def excess(self, direction: Tensor) -> Tensor:
        """By how much each perturbation is larger than wanted, as a share of that, (B,)."""
        size = lp_norm(self.perturbing.perturbation(self.rows, direction), self.ball.norm).flatten()
        return (size / max(self.wanted, LEAST_SIZE) - 1).clamp_min(0)

    def gradient(self, adv: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient that raises the margin at ``adv``, and who is fooled there."""
        found = self.evaluator.evaluate(adv, torch.arange(len(adv), device=adv.device))
        return found.gradient, found.fooled


def bounded_margin(confidence: float, sign: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The margin of scores, to be raised, or with ``sign`` -1 lowered, until success leads by ``confidence``.

    Beyond, it has no gradient (Carlini and Wagner 2017, the objective f6 of their section V).
    """

    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        found = margin(scores, labels)
        return found.clamp_max(confidence) if sign > 0 else found.clamp_min(-confidence)

    return loss


def other_classes(labels: Tensor, seed: int, rows: Tensor, epoch: int) -> Tensor:
    """For each image another class than its own, one-hot (B, K); another one in every epoch."""
    classes = labels.shape[1]
    further = 1 + integers(keys_of(seed, ATTACK, rows, epoch), (), classes - 1)
    return torch.nn.functional.one_hot((labels.argmax(1) + further) % classes, classes).float()


@dataclass(frozen=True)
class OnePassStage:
    """A stage of a search that makes every image once, and judges none."""

    name: str
    make: Callable[[Which], Tensor]
    restarts: int = 1
    early_stop: bool = False
    whole_batches: bool = False
    worthwhile: None = None
    after: None = None

    @property
    def way(self) -> Any:
        """What runs a batch."""
        return OnePassRun


class OnePassRun:
    """Makes the images of one batch."""

    consecutive: ClassVar[bool] = True

    def __init__(
        self, inputs: Inputs, stage: OnePassStage, best: BestSoFar, which: Which, number: tuple[int, int, int]
    ) -> None:
        self.stage, self.best, self.which = stage, best, which

    def run(self) -> None:
        """Make them."""
        self.best.put(self.which, self.stage.make(self.which))

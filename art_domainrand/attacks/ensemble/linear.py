"""The best point of ball and box for a model that is linear, towards one class after the other."""

from dataclasses import replace

import torch
from torch import Tensor

from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.runs import JudgedRun
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.attacks.engine.steps import StepRule, as_size
from art_domainrand.core.norms import Ball

# In L2 the best point is the way along the gradient, clipped where the box ends it and as long as the radius allows
# then: from so many times the radius it is the projection that finds it.
FAR = 1e6


class LinearSteps(StepRule):
    """From the original to the point where a function of this gradient that is linear is largest in ball and box.

    In L-inf and L1 that is FGSM's step (Croce & Hein 2021, section 3, for L1 with a box); in L2 it is water-filling,
    where FGSM's step, clipped, gives radius away.
    """

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        return farthest(self.ball, self.clean(gradient))


def farthest(ball: Ball, gradient: Tensor) -> Tensor:
    """Where in ball and box a linear function of this ``gradient`` (A, ...) is largest; may overwrite it."""
    size = as_size(ball.eps, ball.x)
    return ball.nearest(ball.step(ball.x, gradient, size if ball.norm in (1, torch.inf) else size * FAR))


def linear_stage(balls: Balls, rank: int, classes: int) -> Stage:
    """One step to the best point for a linear model, towards the class of this ``rank`` among the other ``classes``."""
    inputs = balls.inputs

    def criterion(which: slice | Tensor) -> Criterion:
        wanted, clean = inputs.criterion(which), inputs.clean(classes)
        own = wanted.y.argmax(1, keepdim=True)
        weights = torch.zeros(len(own), clean.classes, device=own.device)
        weights.scatter_(1, own, -1.0).scatter_(1, clean.rivals[which][:, rank : rank + 1], 1.0)
        return replace(wanted, weights=inputs.sign * weights)

    return Stage(
        name="linear",
        way=JudgedRun,
        around=balls.around,
        criterion=criterion,
        steps=lambda ball, mask, which: LinearSteps(ball, mask),
        start=balls.start(at_random=False),
        max_iter=1,
    )

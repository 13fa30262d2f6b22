"""Frank-Wolfe steps towards the best point of a linear model, in a ball just below the best distance."""

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import cosine
from art_domainrand.attacks.minimum.linear_best import best_within
from art_domainrand.attacks.minimum.problem import LEAST_LENGTH, Problem, length
from art_domainrand.attacks.minimum.radius import Radius
from art_domainrand.attacks.minimum.rule import MinimumSteps, Pace, Seen, from_to
from art_domainrand.attacks.minimum.stage import Known
from art_domainrand.core.norms import per_sample


class FrankWolfeSteps(MinimumSteps):
    """Conditional gradients (Frank & Wolfe 1956) in a ball and box that shrink, in L0, L1, L2 and L-inf.

    The change goes a share of the way to the one that the gradient likes best within the radius and the box; in L0,
    whose ball is not convex, all of the way. With momentum the gradient is an average over steps, each divided by its
    L1 norm first. On a linear model that is the closest point. The radius follows :class:`Radius`.
    """

    def __init__(self, problem: Problem, known: Known, max_iter: int, pace: Pace) -> None:
        super().__init__(problem)
        self.max_iter, self.pace = max_iter, pace
        self.radius = Radius(problem, known.distance)
        self.mean = torch.zeros_like(problem.x)

    def next(self, i: int, seen: Seen) -> Tensor:
        problem, share = self.problem, cosine(i, self.max_iter)
        gradient = self.clean(seen.gradient)
        radius = self.radius.follow(seen, gradient, from_to(*self.pace.gamma, share))
        unit = gradient / per_sample(length(gradient, 1).clamp_min(LEAST_LENGTH), gradient)
        self.mean = torch.lerp(unit, self.mean, self.pace.momentum)
        target = best_within(problem, self.mean, radius)
        if problem.norm == 0:
            return problem.clip(problem.x + target)
        shrink = (radius / seen.distance.clamp_min(LEAST_LENGTH)).clamp(max=1)
        change = (seen.adv - problem.x) * per_sample(shrink, target)
        return problem.clip(problem.x + torch.lerp(change, target, from_to(*self.pace.step, share)))

    def take(self, index: Tensor) -> None:
        self.radius.take(index)
        self.mean = self.mean[index]
        super().take(index)

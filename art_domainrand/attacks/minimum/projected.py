"""Projected steps in a ball just below the best distance."""

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import cosine
from art_domainrand.attacks.minimum.problem import Problem
from art_domainrand.attacks.minimum.radius import Radius
from art_domainrand.attacks.minimum.rule import MinimumSteps, Pace, Seen, from_to, unit_l2
from art_domainrand.attacks.minimum.stage import Known
from art_domainrand.core.norms import per_sample


class ProjectedSteps(MinimumSteps):
    """Steepest steps of PGD (Madry et al. 2018) in L2 and L-inf, in a ball that follows :class:`Radius`.

    Their length is a share of the radius, so that no unit has to be chosen.
    """

    def __init__(self, problem: Problem, known: Known, max_iter: int, pace: Pace) -> None:
        super().__init__(problem)
        self.max_iter, self.pace = max_iter, pace
        self.radius = Radius(problem, known.distance)

    def next(self, i: int, seen: Seen) -> Tensor:
        share, gradient = cosine(i, self.max_iter), self.clean(seen.gradient)
        radius = self.radius.follow(seen, gradient, from_to(*self.pace.gamma, share))
        step = per_sample(radius * from_to(*self.pace.step, share), gradient)
        direction = gradient.sign() if self.problem.norm == torch.inf else unit_l2(gradient)
        return self.problem.project(seen.adv + step * direction, radius)

    def take(self, index: Tensor) -> None:
        self.radius.take(index)
        super().take(index)

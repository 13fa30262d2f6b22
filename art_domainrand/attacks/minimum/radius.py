"""The radius within which the next adversarial point is sought: just below the best distance so far."""

import torch
from torch import Tensor

from art_domainrand.attacks.minimum.problem import Problem, dual_length
from art_domainrand.attacks.minimum.rule import Seen

# How much beyond the boundary's estimate a first success is sought: it is mostly too near, and flat regions mislead it.
GROWTH = 1.25
# How far inside a success the next point may be sought, as a share of its distance.
FARTHEST_BACK = 0.5


class Radius:
    """A radius for every sample, (A,); in L0 a number of entries.

    Before a success it is a little more than the distance of the boundary to first order (Pintor et al. 2021, equation
    5), and grows. After one it is (1 - gamma) times the best distance, and waits for gamma to fall while none fools;
    at a point that does it is that of the boundary again, to first order, but half the best distance at least.
    """

    def __init__(self, problem: Problem, distance: Tensor) -> None:
        first = torch.where(distance.isfinite(), distance, 0.0)
        self.norm, self.value, self.farthest = problem.norm, first, problem.farthest()

    def follow(self, seen: Seen, gradient: Tensor, gamma: float) -> Tensor:
        """The radius after a step, at whose point the ``gradient`` is clean."""
        beyond = seen.value.abs() / dual_length(gradient, self.norm)
        grown = torch.maximum(self.value, seen.distance + beyond) * GROWTH
        below = seen.best * (1 - gamma)
        back = torch.maximum(seen.distance - beyond, seen.best * FARTHEST_BACK)
        below = torch.where(seen.fooled, torch.minimum(below, back), below)
        if self.norm == 0:  # a gradient says nothing of how many entries it takes
            grown = torch.maximum(self.value + 1, (self.value * GROWTH).floor())
            below = torch.minimum(seen.best - 1, below.floor()).clamp_min(1)
        self.value = torch.minimum(torch.where(seen.best.isfinite(), below, grown), self.farthest)
        return self.value

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.value, self.farthest = self.value[index], self.farthest[index]

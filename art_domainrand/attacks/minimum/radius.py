"""The radius within which the next adversarial point is sought: just below the best distance so far."""

import torch
from torch import Tensor

from art_domainrand.attacks.minimum.problem import Problem, dual_length
from art_domainrand.attacks.minimum.rule import Seen

# How much faster than the boundary's estimate the radius grows where nothing has fooled yet: flat regions mislead it.
GROWTH = 1.1


class Radius:
    """A radius for every sample, (A,); in L0 a number of entries.

    Before a success it is the distance of the boundary to first order (Pintor et al. 2021, equation 5), and grows by a
    tenth at least. After one it is (1 - gamma) times the best distance; a point inside that fools lowers it at once,
    and while none does it waits for gamma to fall.
    """

    def __init__(self, problem: Problem, distance: Tensor) -> None:
        first = torch.where(distance.isfinite(), distance, 0.0)
        self.norm, self.value, self.farthest = problem.norm, first, problem.farthest()

    def follow(self, seen: Seen, gradient: Tensor, gamma: float) -> Tensor:
        """The radius after a step, at whose point the ``gradient`` is clean."""
        boundary = seen.distance + seen.value.abs() / dual_length(gradient, self.norm)
        grown = torch.maximum(self.value * GROWTH, boundary)
        below = seen.best * (1 - gamma)
        if self.norm == 0:  # a gradient says nothing of how many entries it takes
            grown = torch.maximum(self.value + 1, (self.value * GROWTH).floor())
            below = torch.minimum(seen.best - 1, below.floor()).clamp_min(1)
        self.value = torch.minimum(torch.where(seen.best.isfinite(), below, grown), self.farthest)
        return self.value

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.value, self.farthest = self.value[index], self.farthest[index]

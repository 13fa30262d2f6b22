"""DDN: steps along the gradient on a sphere that shrinks while the point fools and grows while it does not."""

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import cosine
from art_domainrand.attacks.minimum.problem import LEAST_LENGTH, Problem, length
from art_domainrand.attacks.minimum.rule import MinimumSteps, Seen, from_to, unit_l2
from art_domainrand.core.norms import per_sample


class DDNSteps(MinimumSteps):
    """Decoupled direction and norm (Rony et al. 2019, algorithm 1), in L2.

    A step of length 1 falling to 0.01 along the gradient, then the change is scaled to a norm that was multiplied by 1
    - gamma where the point fools, by 1 + gamma where not. ``gamma`` is the paper's 0.05 at first, ``gamma_end`` at the
    end; ``first`` is the norm at first. Lengths are in units of the range of pixels.
    """

    longest, shortest = 1.0, 0.01

    def __init__(
        self, problem: Problem, max_iter: int, *, gamma: float = 0.05, gamma_end: float = 0.05, first: float = 1.0
    ) -> None:
        super().__init__(problem)
        self.max_iter, self.gamma, self.gamma_end = max_iter, gamma, gamma_end
        self.radius = first * problem.width.flatten()
        self.farthest = problem.farthest()

    def next(self, i: int, seen: Seen) -> Tensor:
        problem, share = self.problem, cosine(i, self.max_iter)
        step = from_to(self.longest, self.shortest, share) * problem.width
        moved = seen.adv - problem.x + step * unit_l2(self.clean(seen.gradient))
        gamma = from_to(self.gamma, self.gamma_end, share)
        self.radius = torch.minimum(self.radius * torch.where(seen.fooled, 1 - gamma, 1 + gamma), self.farthest)
        scale = self.radius / length(moved, 2).clamp_min(LEAST_LENGTH)
        return problem.clip(problem.x + moved * per_sample(scale, moved))

    def take(self, index: Tensor) -> None:
        self.radius, self.farthest = self.radius[index], self.farthest[index]
        super().take(index)

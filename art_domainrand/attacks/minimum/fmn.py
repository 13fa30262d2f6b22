"""FMN: projected steps along the gradient in a ball whose radius follows the distance of the boundary."""

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import cosine
from art_domainrand.attacks.minimum.problem import Problem, dual_length
from art_domainrand.attacks.minimum.rule import MinimumSteps, Seen, from_to, unit_l2


class FMNSteps(MinimumSteps):
    """Fast minimum-norm (Pintor et al. 2021, algorithm 1), in L0, L1, L2 and L-inf, on the margin.

    Until a sample has fooled, the radius is its distance plus that of the boundary to first order (equation 5); then it
    is multiplied by 1 - gamma where the point fools and by 1 + gamma where not, and never exceeds the best distance
    after a success. In L0 it changes by one entry at least. Steps of length ``longest`` falling to a hundredth of it,
    in units of the range of pixels, go along the gradient divided by its L2 norm; ``gamma`` falls from 0.05 to 0.001.
    """

    gamma, gamma_end = 0.05, 0.001

    def __init__(self, problem: Problem, max_iter: int, *, longest: float = 1.0) -> None:
        super().__init__(problem)
        self.max_iter, self.longest = max_iter, longest
        first = 1.0 if problem.norm == 0 else torch.inf
        self.radius = torch.full_like(problem.width.flatten(), first)
        self.farthest = problem.farthest()

    def next(self, i: int, seen: Seen) -> Tensor:
        gradient, share = self.clean(seen.gradient), cosine(i, self.max_iter)
        gamma = from_to(self.gamma, self.gamma_end, share)
        follow = self.follow_count if self.problem.norm == 0 else self.follow
        self.radius = torch.minimum(follow(seen, gradient, gamma), self.farthest)
        step = from_to(self.longest, self.longest / 100, share) * self.problem.width
        return self.problem.project(seen.adv + step * unit_l2(gradient), self.radius)

    def follow(self, seen: Seen, gradient: Tensor, gamma: float) -> Tensor:
        """The next radius."""
        boundary = seen.value.abs() / dual_length(gradient, self.problem.norm)
        outside = torch.where(seen.best.isfinite(), self.radius * (1 + gamma), seen.distance + boundary)
        return torch.where(seen.fooled, torch.minimum(self.radius * (1 - gamma), seen.best), outside)

    def follow_count(self, seen: Seen, gradient: Tensor, gamma: float) -> Tensor:
        """The next number of entries that may change."""
        fewer = torch.minimum(self.radius - 1, (self.radius * (1 - gamma)).floor())
        more = torch.maximum(self.radius + 1, (self.radius * (1 + gamma)).floor())
        return torch.where(seen.fooled, torch.minimum(fewer, seen.best), more).clamp_min(0)

    def take(self, index: Tensor) -> None:
        self.radius, self.farthest = self.radius[index], self.farthest[index]
        super().take(index)

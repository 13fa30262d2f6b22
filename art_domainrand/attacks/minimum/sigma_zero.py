"""Sigma-zero: a smooth stand-in for L0, and a threshold that sets small changes back."""

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import cosine
from art_domainrand.attacks.minimum.adam import Adam
from art_domainrand.attacks.minimum.problem import LEAST_LENGTH, Problem, length
from art_domainrand.attacks.minimum.rule import MinimumSteps, Seen, from_to
from art_domainrand.core.norms import per_sample


class SigmaZeroSteps(MinimumSteps):
    """Sigma-zero (Cina et al. 2025, algorithm 1), in L0, on the margin.

    Adam descends the margin that is left to the boundary plus the mean of ``d^2 / (d^2 + sigma)`` over the entries of
    the change ``d``, with the gradient divided by its largest entry. Then changes below a threshold are set back; the
    threshold rises where the point fools and falls where not. Lengths are in units of the range of pixels.
    """

    sigma, first_threshold, threshold_rate = 1e-3, 0.3, 0.01

    def __init__(self, problem: Problem, max_iter: int) -> None:
        super().__init__(problem)
        self.max_iter = max_iter
        self.adam = Adam.over(problem.x)
        self.threshold = torch.full_like(problem.width.flatten(), self.first_threshold)

    def next(self, i: int, seen: Seen) -> Tensor:
        problem = self.problem
        change = (seen.adv - problem.x) / problem.width
        uphill = self.clean(seen.gradient) * problem.width
        short = per_sample(seen.value < 0, change)
        smooth = 2 * self.sigma * change / (change.square() + self.sigma).square() / change[0].numel()
        downhill = smooth - torch.where(short, uphill, 0.0)
        downhill = downhill / per_sample(length(downhill, torch.inf).clamp_min(LEAST_LENGTH), change)
        mean, scale = self.adam.observe(i, downhill)
        # The step of iteration i + 1 anneals one iteration behind, as in the authors' code.
        rate = from_to(1.0, 0.1, cosine(max(i - 1, 0), self.max_iter))
        change = (problem.clip(problem.x + (change - rate * mean / scale) * problem.width) - problem.x) / problem.width
        rate = from_to(1.0, 0.1, cosine(i, self.max_iter)) * self.threshold_rate
        self.threshold = (self.threshold + torch.where(seen.fooled, rate, -rate)).clamp(0, 1)
        change = torch.where(change.abs() < per_sample(self.threshold, change), 0.0, change)
        return problem.clip(problem.x + change * problem.width)

    def take(self, index: Tensor) -> None:
        self.adam.take(index)
        self.threshold = self.threshold[index]
        super().take(index)

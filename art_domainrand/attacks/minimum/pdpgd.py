"""PDPGD: proximal steps on the distance, with the weight of the classification as a dual variable."""

import math

import torch
from torch import Tensor

from art_domainrand.attacks.minimum.adam import Adam
from art_domainrand.attacks.minimum.problem import LEAST_LENGTH, Problem, length
from art_domainrand.attacks.minimum.rule import MinimumSteps, Seen, from_to
from art_domainrand.core.norms import per_sample, project_l1_box


class PDPGDSteps(MinimumSteps):
    """Primal-dual proximal gradient descent (Matyasko & Chau 2021, algorithm 1), in L0, L1, L2 and L-inf.

    Adam descends the softplus of minus the margin; a few proximal steps in Adam's own metric (Melchior et al. 2019,
    section 2) then shorten the change by the weight of the norm over that of the margin. The logarithm of that ratio is
    the dual variable: it moves by the sign of the margin, and its average counts. Lengths are in units of the range of
    pixels.
    """

    rate, rate_falls_to, ratio, least_ratio = 0.1, 0.01, 0.01, 1e-6
    dual_rate, dual_falls_to, average, proximal_steps, enough = 0.1, 0.1, 0.9, 5, 1e-2

    def __init__(self, problem: Problem, max_iter: int) -> None:
        super().__init__(problem)
        self.max_iter = max_iter
        self.adam = Adam.over(problem.x)
        self.dual = torch.full_like(problem.width.flatten(), -math.log(self.ratio))
        self.weight = torch.sigmoid(self.dual)

    def next(self, i: int, seen: Seen) -> Tensor:
        problem = self.problem
        change = (seen.adv - problem.x) / problem.width
        # The softplus of minus the margin falls at the rate sigmoid(-margin).
        uphill = self.clean(seen.gradient) * problem.width * per_sample(torch.sigmoid(-seen.value), change)
        mean, scale = self.adam.observe(i, -uphill)
        rate = self.rate * self.rate_falls_to ** (i / self.max_iter)
        change = self.boxed(change - rate * mean / scale)
        change = self.shorter(change, scale, rate)
        left = (self.max_iter - 1 - i) / max(self.max_iter - 1, 1)
        bound = -math.log(self.least_ratio)
        move = torch.sign(seen.value) * self.dual_rate * from_to(1.0, self.dual_falls_to, left)
        self.dual = (self.dual - move).clamp(-bound, bound)
        self.weight = torch.lerp(torch.sigmoid(self.dual), self.weight, self.average)
        return problem.clip(problem.x + change * problem.width)

    def shorter(self, change: Tensor, scale: Tensor, rate: float) -> Tensor:
        """Proximal steps in the metric ``scale``, until they change little."""
        largest = length(scale, torch.inf)
        weight = (1 - self.weight) / self.weight * rate / largest
        metric, found = scale / per_sample(largest, scale), change
        moving = torch.ones_like(weight, dtype=torch.bool)
        for _ in range(self.proximal_steps):
            nearer = self.boxed(proximal(found - metric * (found - change), weight, self.problem.norm))
            nearer = torch.where(per_sample(moving, nearer), nearer, found)
            moving = length(nearer - found, 2) > self.enough * length(nearer, 2)
            found = nearer
        return found

    def boxed(self, change: Tensor) -> Tensor:
        """A change cut where it leaves the box."""
        problem = self.problem
        return (problem.clip(problem.x + change * problem.width) - problem.x) / problem.width

    def take(self, index: Tensor) -> None:
        self.adam.take(index)
        self.dual, self.weight = self.dual[index], self.weight[index]
        super().take(index)


def proximal(change: Tensor, weight: Tensor, norm: float) -> Tensor:
    """The minimizer ``z`` of ``|z - change|_2^2 / 2 + weight |z|`` for each change (A, ...), weights (A,).

    L1: soft threshold; L0: hard threshold; L2: shrinking; L-inf: the change minus its projection to the L1 ball of
    radius ``weight`` (Moreau's decomposition; Parikh & Boyd 2014, section 6.5).
    """
    wide = per_sample(weight, change)
    if norm == 0:
        return torch.where(change.square() > 2 * wide, change, 0.0)
    if norm == 1:
        return change.sign() * (change.abs() - wide).clamp_min(0)
    if norm == 2:
        return change * (1 - wide / per_sample(length(change, 2), change).clamp_min(LEAST_LENGTH)).clamp_min(0)
    return change - project_l1_box(change, wide, change.abs())

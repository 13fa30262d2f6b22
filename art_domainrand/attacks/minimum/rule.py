"""What a step towards the boundary knows, and what a rule for such steps is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import usable
from art_domainrand.attacks.minimum.problem import LEAST_LENGTH, Problem, length
from art_domainrand.core.norms import per_sample


@dataclass(frozen=True)
class Seen:
    """Of every sample (A,): its point ``adv`` (A, ...), the ``gradient`` and ``value`` of the criterion there.

    ``fooled`` says whether the point is adversarial, ``distance`` how far it is from the image; ``best`` is the
    distance of ``nearest``, the closest adversarial point so far, infinite where none is known.
    """

    adv: Tensor
    gradient: Tensor
    value: Tensor
    fooled: Tensor
    distance: Tensor
    best: Tensor
    nearest: Tensor


class MinimumSteps(ABC):
    """Chooses the next point of every sample; holds what it must remember of each, in order of the batch."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.tainted = torch.zeros(len(problem.x), dtype=problem.x.dtype, device=problem.x.device)

    @abstractmethod
    def next(self, i: int, seen: Seen) -> Tensor:
        """The point after step ``i`` = 0, 1, ..., (A, ...)."""

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.problem, self.tainted = self.problem.take(index), self.tainted[index]

    def clean(self, gradient: Tensor) -> Tensor:
        """A gradient fit to be used, zero where the mask is, in a tensor of its own."""
        return usable(gradient, self.problem.mask, self.tainted)


def unit_l2(gradient: Tensor) -> Tensor:
    """Each gradient divided by its L2 norm; zero stays zero."""
    largest = per_sample(length(gradient, torch.inf), gradient)
    gradient = gradient / largest.clamp_min(LEAST_LENGTH)  # the squares of tiny entries would be zero
    return gradient / per_sample(length(gradient, 2), gradient).clamp_min(LEAST_LENGTH)


def from_to(first: float, last: float, share: float) -> float:
    """A constant on its way from ``first`` (share 1) to ``last`` (share 0)."""
    return last + (first - last) * share


@dataclass(frozen=True)
class Pace:
    """How boldly a rule goes, each from the first step to the last along a cosine.

    ``gamma`` is by what share less than the best distance is tried, ``step`` the length of a step as a share of the
    radius. ``momentum`` is what Frank-Wolfe keeps of the average of gradients from step to step.
    """

    gamma: tuple[float, float]
    step: tuple[float, float]
    momentum: float = 0.0

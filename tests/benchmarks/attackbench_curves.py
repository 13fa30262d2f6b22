"""AttackBench's measure (Cina et al. 2025): how close an attack comes to the best of all, over the whole curve.

``Watched`` puts every attack under the same watch: it counts passes, ends the attack when they are spent, and keeps the
closest adversarial point that was ever looked at, so that nobody loses by the last step or by a final choice.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Distances = NDArray[np.float64]
ROUNDING = 1e-6  # by so much may a point leave the box


class Spent(Exception):  # noqa: N818
    """The passes that an attack may take are taken."""


def area(distances: Distances, most: float) -> float:
    """The area under robust accuracy over distance, from 0 to ``most``.

    Robust accuracy at eps is the share of samples whose distance is above eps, so the area is a mean.

    :param distances: Of the closest adversarial example of every sample; inf where there is none, 0 where the sample is
        misclassified as it is.
    :param most: Where the curve ends.
    """
    return float(np.minimum(distances, most).mean())


def optimality(distances: Distances, best: Distances) -> float:
    """1 for the best of all attacks on every sample, 0 for one that finds nothing (Cina et al. 2025).

    ``1 - (A - A*) / (acc d_max - A*)``: A is the area under the curve of the attack, A* under that of the best of each
    sample, ``acc`` the clean accuracy and d_max the distance at which the best of all leave no sample.

    :param distances: Of the attack, (N,).
    :param best: The smallest of all attacks, (N,).
    """
    most = float(best[np.isfinite(best)].max(initial=0.0))
    worst = float((best > 0).mean()) * most
    least = area(best, most)
    return 1.0 if worst <= least else 1 - (area(distances, most) - least) / (worst - least)


class Watched(nn.Module):
    """A network that counts what goes through it and keeps the closest adversarial point of every sample.

    A point counts for the sample that it is nearest to in L2, since attacks look at some samples alone, in any order.

    :param net: The network.
    :param x: The samples (N, C, H, W) in [0, 1].
    :param y: Their labels (N,).
    :param norm: 0 (entries that differ), 1, 2 or inf.
    :param budget: Forward, and backward, passes for each sample.
    """

    def __init__(self, net: nn.Module, x: Tensor, y: Tensor, norm: float, budget: int) -> None:
        super().__init__()
        self.net, self.norm, self.budget = net, norm, budget * len(x)
        self.images, self.labels = x, y
        self.distances = torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
        self.forwards = self.backwards = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.forwards + len(x) > self.budget:
            raise Spent
        self.forwards += len(x)
        scores: Tensor = self.net(x)
        self.offer(x.detach(), scores.detach())
        if scores.requires_grad and torch.is_grad_enabled():
            scores.register_hook(self.took)
        return scores

    def took(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)
        if self.backwards > self.budget:
            raise Spent

    @torch.no_grad()
    def offer(self, points: Tensor, scores: Tensor, ids: Tensor | None = None) -> None:
        """Keep the points that are closer than what was found before, of the samples ``ids`` or the nearest."""
        points = points.to(self.images)
        if ids is None:
            ids = torch.cdist(points.flatten(1), self.images.flatten(1)).argmin(1)
        inside = ((points >= -ROUNDING) & (points <= 1 + ROUNDING)).flatten(1).all(1)
        good = (scores.argmax(1) != self.labels[ids]) & inside
        if good.any():
            distances = distance(points[good], self.images[ids[good]], self.norm)
            self.distances.scatter_reduce_(0, ids[good], distances, "amin")

    @torch.no_grad()
    def judge(self, points: Tensor, ids: Tensor | None = None) -> Tensor:
        """Look at the points that an attack returns, at no cost, and say which are misclassified (N,).

        :param points: One for each sample.
        :param ids: Of which samples; None for all.
        """
        ids = torch.arange(len(self.images), device=points.device) if ids is None else ids
        scores = self.net(points)
        self.offer(points, scores, ids)
        return scores.argmax(1) != self.labels[ids]


def distance(points: Tensor, images: Tensor, norm: float) -> Tensor:
    """The distance of every point from its image (N,), float64; ``norm`` 0 counts the entries that differ."""
    change = (points.double() - images.double()).flatten(1)
    return (change != 0).sum(1).double() if norm == 0 else torch.linalg.vector_norm(change, norm, dim=1)


def searched(run: Callable[[Tensor, Distances], Tensor], watched: Watched, first: float, rounds: int) -> None:
    """Search the smallest eps of every sample for an attack that has a fixed one: doubling, then bisection.

    :param run: Attacks the samples of these indices, each within its eps.
    :param watched: What is attacked.
    :param first: The eps of the first round.
    :param rounds: How often every sample is attacked, unless the passes are spent before.
    """
    watched.judge(watched.images)
    ids = np.flatnonzero(watched.distances.cpu().numpy() > 0)
    low, high = np.zeros(len(ids)), np.full(len(ids), np.inf)
    for _ in range(rounds):
        eps = np.where(np.isinf(high), np.where(low > 0, 2 * low, first), (low + high) / 2)
        rows = torch.from_numpy(ids)
        broken = watched.judge(run(rows, eps), rows).cpu().numpy()
        high, low = np.where(broken, eps, high), np.where(broken, low, eps)


def in_groups(run: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, Distances], Tensor]:
    """Runs an attack that has one eps for all: once for every eps, on the samples that have it."""

    def each(ids: Tensor, eps: Distances) -> Tensor:
        found = {value: run(ids[eps == value], float(value)) for value in np.unique(eps)}
        merged = next(iter(found.values())).new_empty((len(ids), *next(iter(found.values())).shape[1:]))
        for value, points in found.items():
            merged[torch.from_numpy(eps == value)] = points
        return merged

    return each

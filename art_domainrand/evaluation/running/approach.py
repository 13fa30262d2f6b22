"""Examples brought nearer to their images, from one radius of a curve to the next, by a few steps along the margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from art_domainrand.core.arrays import Array
from art_domainrand.core.checks import clip_bounds
from art_domainrand.core.losses import margin
from art_domainrand.core.norms import ball, lp_norm, per_sample
from art_domainrand.estimators import open_estimator
from art_domainrand.evaluation.running.block import Block

# How many steps in all, and at one radius in a row without success; how long these are, in units of the radius.
MOST_STEPS, TRIES = 16, 4
STEP_LENGTHS = (1.0, 0.5, 0.25, 0.25, 0.25)


def approach(
    estimator: Any, block: Block, examples: Array, reached: NDArray[np.int64], radii: Sequence[float], order: float
) -> tuple[Array, NDArray[np.int64]]:
    """Examples at smaller radii, and which these are.

    At a point that fools, margin and gradient say how much nearer the boundary is, as for FMN (Pintor et al. 2021,
    equation 5): the next radius of the curve beyond is tried. At a point that does not, the margin is climbed a little.

    :param estimator: a classifier whose gradients can be taken on its device.
    :param block: the samples.
    :param examples: points that fool, in the form of ``block.x``, or the images themselves.
    :param reached: the place in ``radii`` of a radius that each lies within, (n,); -1 for one that does not fool.
    :param radii: falling.
    :param order: of the norm.
    :return: the nearest points met that fool, and the places of their radii; what was given where there is none.
    """
    images, places = examples.copy(), reached.copy()
    with torch.inference_mode(False), torch.enable_grad(), open_estimator(estimator, summed=True) as source:
        for first in range(0, len(block), block.batch_size):
            rows = slice(first, first + block.batch_size)
            x, y, z = (torch.from_numpy(part[rows]).to(source.device) for part in (block.x, block.y, examples))
            search = Approach(
                source, estimator, x, y, z, torch.from_numpy(reached[rows]).to(source.device), radii, order
            )
            search.run()
            images[rows], places[rows] = search.best.cpu().numpy(), search.reached.cpu().numpy()
    return images, places


@dataclass
class Approach:
    """The search of one batch: ``best`` are the nearest points that fool, within ``radii[reached]``."""

    source: Any
    estimator: Any
    x: Tensor
    y: Tensor
    z: Tensor
    reached: Tensor
    radii: Sequence[float]
    order: float

    def __post_init__(self) -> None:
        self.best, self.z, self.reached = self.z.clone(), self.z.clone(), self.reached.clone()
        self.target = self.reached.clamp(min=0)
        self.tries = torch.zeros_like(self.target)
        self.alive = torch.ones_like(self.target, dtype=torch.bool)
        self.eps = torch.tensor(self.radii, dtype=torch.float64, device=self.x.device)
        self.lengths = torch.tensor(STEP_LENGTHS, dtype=torch.float64, device=self.x.device)
        features = tuple(self.x.shape[1:])
        self.low, self.high = clip_bounds(getattr(self.estimator, "clip_values", None), features, self.x.device)
        order = self.order
        self.dual = {np.inf: 1.0, 1.0: np.inf}.get(order, order / (order - 1) if order > 1 else np.inf)

    def run(self) -> None:
        """Take steps until no sample has one left."""
        for _ in range(MOST_STEPS):
            (rows,) = self.alive.nonzero(as_tuple=True)
            if not len(rows):
                return
            self.step(rows)

    def step(self, rows: Tensor) -> None:
        """Look at samples within the radius that is tried of each, and move on."""
        x, y = self.x[rows], self.y[rows]
        around = ball(self.order, x, per_sample(self.eps[self.target[rows]], x), self.low, self.high)
        shown = around.settle(around.project(self.z[rows]))
        labels = self.source.labels(one_hot(y, max(2, int(self.estimator.nb_classes))).float())
        found = self.source.evaluate(shown, labels, 1, lambda scores, part: margin(scores, y[part]))
        fooled = found.scores.argmax(1) != y
        gradient = found.gradient.nan_to_num(0, 0, 0)
        self.best[rows[fooled]] = shown[fooled]
        self.reached[rows[fooled]] = self.target[rows[fooled]]
        slope = lp_norm(gradient, self.dual).flatten().double()
        self.aim(rows, fooled, found.values.double() / slope.clamp_min(1e-30))
        length = self.lengths[self.tries[rows]] * self.eps[self.target[rows]]
        wider = ball(self.order, x, per_sample(self.eps[self.target[rows]], x), self.low, self.high)
        self.z[rows] = wider.ascend(shown, gradient, per_sample(length, x).to(x.dtype))

    def aim(self, rows: Tensor, fooled: Tensor, beyond: Tensor) -> None:
        """Choose the radius that is tried next; ``beyond`` is how far from the boundary samples are, to first order."""
        target, reached, last = self.target[rows], self.reached[rows], len(self.radii) - 1
        wished = self.eps[target] - beyond
        deepest = (self.eps >= wished[:, None]).sum(1) - 1
        self.tries[rows] = torch.where(fooled, 0, self.tries[rows] + 1)
        spent = self.tries[rows] >= TRIES
        too_far = ~fooled & spent & (target > reached + 1)
        self.tries[rows[too_far]] = 0
        self.alive[rows] = torch.where(fooled, target < last, ~spent | too_far)
        nearer = torch.maximum(deepest, target + 1).clamp(max=last)
        self.target[rows] = torch.where(fooled, nearer, torch.where(too_far, reached + 1, target))

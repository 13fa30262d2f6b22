"""How a batch is run that seeks the closest adversarial example: every point is judged, the closest is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.attacks.engine.best import BestSoFar, Which, on
from art_domainrand.attacks.engine.evaluator import Assessment
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.quantize import to_levels
from art_domainrand.attacks.minimum.problem import Problem
from art_domainrand.attacks.minimum.rule import Seen
from art_domainrand.attacks.minimum.stage import Known, MinimumStage
from art_domainrand.core.norms import Linf, per_sample
from art_domainrand.core.random import CLIMB, START, derive

# How often samples leave that cannot come nearer; to find them a device makes the host wait.
LEAVE_EVERY = 20


class MinimumRun:
    """A run of ``stage`` on the samples ``ids``; the ``margin`` of what it offers is minus the distance.

    Where what a step sees is not what the estimator predicts for what is returned (a random model, rounding), a point
    that comes nearer than any before is looked at again before it counts.
    """

    consecutive: ClassVar[bool] = False

    def __init__(
        self, inputs: Inputs, stage: MinimumStage, best: BestSoFar, ids: Which, number: tuple[int, int, int]
    ) -> None:
        assert isinstance(ids, Tensor)
        self.inputs, self.stage, self.results, self.ids = inputs, stage, best, ids
        problem = problem_of(inputs, ids, stage.norm)
        nearest = torch.where(
            per_sample(best.fooled[ids], problem.x), best.adv[on(ids, best.adv)].to(problem.x.device), problem.x
        )
        distance = torch.where(best.fooled[ids], -best.margin[ids], torch.inf)
        known = Known(ids, nearest, distance, lambda: derive(inputs.keys_of(ids), START, number[0]))
        self.nearest, self.distance = nearest, distance
        self.steps = stage.steps(problem, known)
        self.adv = stage.start(problem, known)
        self.rows = torch.arange(len(ids), device=ids.device)
        self.evaluator = inputs.evaluator(ids, stage.criterion(ids), CLIMB, number[0], samples=stage.samples)

    def run(self) -> None:
        """Take all steps, and offer the closest point of every sample."""
        for i in range(self.stage.max_iter):
            seen = self.look(self.evaluator.evaluate(self.adv, self.rows))
            if i % LEAVE_EVERY == 0:
                left = self.leave()
                if not len(self.rows):
                    return
                seen = seen if left is None else taken(seen, left)
            if i + 1 < self.stage.max_iter:
                self.adv = self.steps.next(i, seen)
        self.offer(torch.arange(len(self.rows), device=self.rows.device))

    def look(self, found: Assessment) -> Seen:
        """Keep what is nearer than before, and say what was seen."""
        distance = self.steps.problem.distance(self.adv)
        nearer = found.fooled & (distance < self.distance)
        if self.inputs.trusted:
            self.keep(nearer, self.adv, distance)
        else:
            self.look_again(nearer.nonzero().squeeze(1))
        return Seen(self.adv, found.gradient, found.value, found.fooled, distance, self.distance, self.nearest)

    def look_again(self, rows: Tensor) -> None:
        """Keep those of the points ``rows`` that hold in full precision, under fresh draws, in 8 bits if asked."""
        if not len(rows):
            return
        problem = self.steps.problem.take(rows)
        adv = self.adv[rows]
        if self.inputs.config.quantize:
            adv = to_levels(adv, Linf(problem.x, torch.inf, problem.low, problem.high))
        fooled, _ = self.evaluator.judge(adv, self.rows[rows])
        wide, distance = self.adv.clone(), torch.full_like(self.distance, torch.inf)
        wide[rows], distance[rows] = adv, problem.distance(adv)
        held = torch.zeros_like(distance, dtype=torch.bool)
        held[rows] = fooled
        self.keep(held & (distance < self.distance), wide, distance)

    def keep(self, nearer: Tensor, adv: Tensor, distance: Tensor) -> None:
        """Take over the points that are ``nearer`` (A,)."""
        self.nearest = torch.where(per_sample(nearer, adv), adv, self.nearest)
        self.distance = torch.where(nearer, distance, self.distance)

    def leave(self) -> Tensor | None:
        """Write down the samples that cannot come nearer, and go on with the others; returns which, None for all."""
        done = self.distance <= (0 if self.stage.norm else 1)
        if not bool(done.any()):
            return None
        self.offer(done.nonzero().squeeze(1))
        keep = (~done).nonzero().squeeze(1)
        self.ids, self.rows, self.adv = self.ids[keep], self.rows[keep], self.adv[keep]
        self.nearest, self.distance = self.nearest[keep], self.distance[keep]
        self.steps.take(keep)
        return keep

    def offer(self, rows: Tensor) -> None:
        """Hand the closest points of some samples to the results; where there is none, the image as it is."""
        distance = self.distance[rows]
        self.results.offer(self.ids[rows], self.nearest[rows], distance.isfinite(), -distance)
        self.results.tainted[self.ids[rows[self.steps.tainted[rows].isnan()]]] = True


def taken(seen: Seen, index: Tensor) -> Seen:
    """What was seen of the samples ``index``."""
    return replace(seen, **{name: part[index] for name, part in vars(seen).items()})


def problem_of(inputs: Inputs, which: Which, norm: float) -> Problem:
    """The problem of some images of a call."""
    x = inputs.images(which)
    if inputs.low is not None and inputs.high is not None:
        width = (inputs.high - inputs.low).max().expand(len(x))
    else:  # of each image its own range, so that company does not count
        flat = x.flatten(1)
        width = flat.amax(1) - flat.amin(1)
    width = torch.where(width > 0, width, 1.0).to(x.dtype)
    return Problem(x, norm, inputs.low, inputs.high, inputs.mask_of(which), per_sample(width, x))

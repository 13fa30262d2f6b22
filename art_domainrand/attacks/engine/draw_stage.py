"""A stage that searches the draw of a pipeline, and pixels with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from art.estimators.estimator import LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.draw_search import Cube, DrawPlan, DrawRegion, DrawSearch
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.space import BallAround, DrawSpace, WorstPoints
from art_domainrand.attacks.engine.stage import HowToRun
from art_domainrand.core import checks as check
from art_domainrand.core.pixels import ClipRange
from art_domainrand.core.random import TRIAL, derive, keys_of, normal, uniform
from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization.core.coordinates import coordinates, left_to_chance, ranged
from art_domainrand.randomization.core.distributions import Choice
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.pipeline import Pipeline, pipeline_from
from art_domainrand.randomization.core.sampling import keyed_draws

# A fifth of the evaluations finds where to start from; the rest climbs.
STARTS = 5
# Slopes are looked for on this many images of noise, each under a draw of its own.
PROBES = 32


@dataclass(frozen=True)
class WorstDraws:
    """What one batch came to: ``images`` shown (n, ...), their worst points, what was added to pixels, who is tainted.

    ``delta`` is (n, ...) in float64, or None; ``tainted`` (n,) met a gradient that was not finite.
    """

    images: Tensor
    worst: WorstPoints
    tainted: Tensor
    delta: Tensor | None = None


Solve = Callable[["DrawStage", Inputs, Tensor], WorstDraws]
"""The stage, the inputs, and the samples (A,) of one batch -> the worst that was found for them."""


class DrawRun:
    """The run of a :class:`DrawStage` on one batch."""

    consecutive: ClassVar[bool] = True

    def __init__(
        self, inputs: Inputs, stage: DrawStage, best: BestSoFar, which: Which, number: tuple[int, int, int]
    ) -> None:
        self.inputs, self.stage, self.best, self.which = inputs, stage, best, which

    def run(self) -> None:
        """Search, and write down images and draws."""
        which = self.which
        assert isinstance(which, slice)
        found = self.stage.solve(
            self.stage, self.inputs, torch.arange(which.start, which.stop, device=self.inputs.device)
        )
        self.best.offer(which, found.images, found.worst.fooled, found.worst.margin)
        self.best.tainted[which] |= found.tainted
        self.stage.u[which], self.stage.seeds[which] = found.worst.points.u, found.worst.points.seeds
        if self.stage.delta is not None and found.delta is not None:
            self.stage.delta[which] = found.delta.to(self.stage.delta.device)


@dataclass(frozen=True)
class DrawStage:
    """A search for the worst draws of ``view``, batch by batch, which also keeps them: ``u`` (N, P), ``seeds`` (N,).

    ``delta`` (N, ...) is what is added to pixels, None where they stay.
    """

    name: str
    view: DomainRandomization
    region: DrawRegion
    solve: Solve
    u: Tensor
    seeds: Tensor
    delta: Tensor | None
    way: HowToRun = DrawRun
    restarts: int = 1
    early_stop: bool = False
    whole_batches: bool = True
    worthwhile: None = None
    after: None = None

    @property
    def climbs(self) -> bool:
        """Whether there is a gradient to follow in the draw."""
        return bool(self.region.slope.any())

    def space(
        self, inputs: Inputs, x: Tensor, ids: Tensor, *, seen: bool = True, around: BallAround | None = None
    ) -> DrawSpace:
        """The space of the samples ``ids`` with images ``x``: behind the view, or with ``seen`` False as they are."""
        evaluator = inputs.evaluator(ids, inputs.criterion(ids, inputs.config.loss))
        return DrawSpace(x, self.view.randomize if seen else None, around, evaluator)

    def search(self, inputs: Inputs, space: DrawSpace, ids: Tensor, mask: Tensor | None = None) -> DrawSearch:
        """A search for the samples ``ids`` in their space."""
        early_stop = inputs.config.early_stop and inputs.trusted
        return DrawSearch(space, self.region, inputs.keys_of(ids), mask, early_stop=early_stop)


def judged(inputs: Inputs, search: DrawSearch) -> WorstDraws:
    """The images of a finished search.

    They are looked at again where what the steps saw is not quite what is returned: where the steps cannot be trusted,
    and where perturbed pixels were pulled into their ball to the last bit.
    """
    space, worst = search.space, search.best
    images = space.shown(worst.points, search.rows, settle=True)
    if not inputs.trusted or space.around is not None:
        fooled, margin = space.evaluator.judge(images, search.rows)
        worst = WorstPoints(worst.points, fooled, margin)
    return WorstDraws(images, worst, space.tainted)


def stage_of(attack: Any, inputs: Inputs, view: DomainRandomization, solve: Solve, *, pixels: bool) -> DrawStage:
    """The stage of an attack on the domain, with room for what it finds."""
    points = None if attack.points is None else torch.as_tensor(attack.points, dtype=torch.float32)
    held, x = left_to_chance(view.pipeline.chain), inputs.x
    several = ranged(view.pipeline) & ~held
    smooth = isinstance(attack.estimator, LossGradientsMixin)
    slope = sloped(view, tuple(x.shape[1:])) & ~held if smooth else torch.zeros_like(several)
    return DrawStage(
        name=type(attack).__name__,
        view=view,
        region=DrawRegion(
            Cube.of(attack.fraction), slope, several, view.pipeline.chain.seeded, points, held if held.any() else None
        ),
        solve=solve,
        u=torch.zeros(len(x), len(several), dtype=torch.float32, device=inputs.device),
        seeds=torch.zeros(len(x), dtype=torch.int64, device=inputs.device),
        delta=torch.zeros(x.shape, dtype=torch.float64, device=x.device) if pixels else None,
    )


def plan_of(attack: Any, stage: DrawStage) -> DrawPlan:
    """How the evaluations of the domain are spent."""
    starts = max(1, attack.evaluations // STARTS) if attack.points is None else len(attack.points)
    k = min(attack.evaluations, starts if attack.k is None else attack.k)
    return DrawPlan.of(attack.evaluations, k, climbs=stage.climbs, tries=stage.region.tries or not stage.climbs)


def check_domain(attack: Any) -> None:
    """Check what attacks on the domain take, and make a pipeline of what one is made from."""
    attack.pipeline = pipeline_from("pipeline", attack.pipeline)
    check.check_counts(evaluations=attack.evaluations)
    number = isinstance(attack.fraction, (int, float, np.number)) and not isinstance(attack.fraction, bool)
    check.require(number and 0 < attack.fraction <= 1, "fraction", "be a number in (0, 1]", attack.fraction)
    if attack.points is not None:
        check_points(attack.points, attack.pipeline)
        rule = f"be >= {len(attack.points)}, so that every one of the points is tried"
        check.require(attack.evaluations >= len(attack.points), "evaluations", rule, attack.evaluations)
    if attack.k is not None:
        check.check_counts(k=attack.k)
        rule = f"be from 1 to evaluations={attack.evaluations}"
        check.require(1 <= attack.k <= attack.evaluations, "k", rule, attack.k)
    check.require(attack.evaluations >= 1, "evaluations", "be >= 1", attack.evaluations)


def check_points(points: Any, pipeline: Pipeline) -> None:
    """Check given starts."""
    values = check.as_tensor("points", points)
    width = len(pipeline.parameters)
    fits = values.dim() == 2 and len(values) > 0 and values.shape[1] == width
    check.require(fits, "points", f"have shape (k, {width})", check.Text(f"shape {tuple(values.shape)}"))
    check.require(bool(((values >= 0) & (values <= 1)).all()), "points", "lie in [0, 1]", check.Text("others"))


def sloped(view: DomainRandomization, shape: tuple[int, ...]) -> Tensor:
    """Which coordinates (P,) a gradient can climb for images of ``shape``, (P,) bool, on the CPU.

    Those of transforms that are differentiable, are no choice, and have a slope on images of noise under some of
    :data:`PROBES` draws: gates and selectors, thresholds and rounded numbers have none.
    """
    pipeline = view.pipeline
    smooth = [
        c.owner.has_slope(c.name.rpartition(".")[2]) and not isinstance(c.distribution, Choice)
        for c in coordinates(pipeline.chain)
    ]
    may = torch.tensor(smooth, dtype=torch.bool)
    if not may.any():
        return may
    keys = keys_of(0, TRIAL, torch.arange(PROBES))
    noise = ClipRange(view.clip_values).from_unit(uniform(derive(keys, 0), shape))
    draw = keyed_draws(pipeline, keys[:1], PROBES, "stratified")  # every choice of a sixteenth or more is seen
    with torch.enable_grad():
        u = draw.u.requires_grad_()
        seen = view.randomize(noise, Draw(u, draw.seeds))
        if not seen.requires_grad:
            return torch.zeros_like(may)
        weights = normal(derive(keys, 2), seen.shape[1:]).to(seen.dtype)
        (slope,) = torch.autograd.grad(seen, u, weights, allow_unused=True)
    return may & (torch.zeros_like(u) if slope is None else slope).ne(0).any(0)

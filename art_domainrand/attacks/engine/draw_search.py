"""The search for the worst draw: the worst of random ones, projected ascent on slopes, trials where there are none."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.attacks.auto.autopgd import Halving
from art_domainrand.attacks.engine.space import DrawPoints, DrawSpace, WorstPoints
from art_domainrand.attacks.engine.steps import as_size
from art_domainrand.core.norms import per_sample
from art_domainrand.core.random import mix64, numbered, seeds_of, uniform_field
from art_domainrand.randomization.core.sampling import CELLS

# The first steps are half as wide as the ranges; momentum and halving are those of Auto-PGD (Croce & Hein 2020).
FIRST_STEP, MOMENTUM = 0.5, 0.75
# How many of the worst draws are climbed from, if each has so many steps: one finds less, three are too short.
RUNS, STEPS_EACH = 2, 8
# A trial changes this share of the coordinates that have no slope anywhere, and one at least on average.
CHANGED = 0.3
# Keeps the numbers of the trials apart from those of the starts.
TRIALS = 1 << 32
# The number of what is drawn once for a sample, and held.
HELD = 1 << 40


@dataclass(frozen=True)
class Cube:
    """The part of the unit cube that may be searched: ``fraction`` of each range, about its middle.

    Like random draws it ends half a cell inside, where every distribution is finite and gates keep their meaning.
    """

    low: float
    high: float

    @classmethod
    def of(cls, fraction: float) -> Cube:
        """The middle ``fraction`` of (0, 1]."""
        edge = 0.5 / CELLS
        return cls(max(0.5 - fraction / 2, edge), min(0.5 + fraction / 2, 1 - edge))

    @property
    def width(self) -> float:
        return self.high - self.low

    def project(self, u: Tensor) -> Tensor:
        """The nearest point of the cube."""
        return u.clamp(self.low, self.high)

    def uniform(self, keys: Tensor, dimensions: int) -> Tensor:
        """One random point for each of ``keys`` (A,), (A, dimensions)."""
        return self.project(0.5 + (uniform_field(keys, dimensions) - 0.5) * (self.width + 1 / CELLS))


@dataclass(frozen=True)
class DrawPlan:
    """How many evaluations go where: ``starts`` draws, then ``steps`` from each of ``runs`` of the worst.

    A step is a gradient (two evaluations) if it ``climbs``, and one trial if it ``tries``; a run's end is looked at.
    """

    starts: int
    runs: int = 0
    steps: int = 0
    climbs: bool = True
    tries: bool = False

    @classmethod
    def of(cls, evaluations: int, k: int, *, climbs: bool, tries: bool) -> DrawPlan:
        """Spend exactly ``evaluations`` on ``k`` starts or a few more, and on steps."""
        cost = 2 * climbs + tries

        def steps_of(runs: int) -> int:
            return max(0, ((evaluations - k) // runs - climbs) // cost) if cost else 0

        runs = RUNS if k >= RUNS and steps_of(RUNS) >= STEPS_EACH else 1
        steps = steps_of(runs)
        spent = runs * (steps * cost + climbs) if steps else 0
        return cls(evaluations - spent, runs if steps else 0, steps, climbs, tries)


@dataclass(frozen=True)
class DrawRegion:
    """What the draws of a pipeline are like: which coordinates (P,) have a ``slope``, which are ``ranged`` at all.

    ``points`` (k, P) are the starts, instead of random ones. Coordinates that are ``held`` (P,) are a sample's own,
    drawn once; they are neither sloped nor ranged.
    """

    cube: Cube
    slope: Tensor
    ranged: Tensor
    seeded: bool
    points: Tensor | None = None
    held: Tensor | None = None

    @property
    def tries(self) -> bool:
        """Whether anything can only be found by trying."""
        return self.seeded or bool((self.ranged & ~self.slope).any())


class DrawSearch:
    """The search for one batch; ``keys`` (n,) int64 are the samples' own random numbers, whatever batch they are in.

    With ``early_stop`` a sample that is fooled is left alone.
    """

    def __init__(
        self, space: DrawSpace, region: DrawRegion, keys: Tensor, mask: Tensor | None, *, early_stop: bool
    ) -> None:
        self.space, self.region, self.keys, self.mask, self.early_stop = space, region, keys, mask, early_stop
        device, n, width = keys.device, len(keys), len(region.ranged)
        self.slope, self.ranged = region.slope.to(device), region.ranged.to(device)
        self.rows = torch.arange(n, device=device)
        self.best = WorstPoints.over(
            DrawPoints(torch.full((n, width), 0.5, dtype=torch.float32, device=device), torch.zeros_like(keys))
        )

    def left(self) -> Tensor:
        """The samples that are still searched."""
        return self.rows[~self.best.fooled] if self.early_stop else self.rows

    def drawn(self, rows: Tensor, number: Tensor) -> DrawPoints:
        """The starts of the given ``number`` (A,), of the samples ``rows`` (A,)."""
        key = numbered(self.keys[rows], number)
        points = self.region.points
        if points is None:
            u = self.region.cube.uniform(key, len(self.ranged))
        else:
            u = points.to(key.device)[number % len(points)]
        return DrawPoints(self.holding(u, rows), seeds_of(key))

    def holding(self, u: Tensor, rows: Tensor) -> Tensor:
        """Points (A, P) of the samples ``rows`` with their own coordinates where these are held."""
        if self.region.held is None:
            return u
        own = Cube.of(1.0).uniform(numbered(self.keys[rows], torch.full_like(rows, HELD)), u.shape[1])
        return torch.where(self.region.held.to(u.device), own, u)

    def search(self, plan: DrawPlan) -> WorstPoints:
        """The worst points of all samples."""
        margins = torch.full((plan.starts, len(self.keys)), -torch.inf, dtype=torch.float32, device=self.keys.device)
        hits = torch.zeros_like(margins, dtype=torch.bool)
        for j in range(plan.starts):
            rows = self.left()
            if not len(rows):
                break
            point = self.drawn(rows, torch.full_like(rows, j))
            fooled, margin = self.space.look(point, rows)
            hits[j, rows], margins[j, rows] = fooled, margin
            self.best.offer(rows, point, fooled, margin)
        worst = margins.topk(plan.runs, dim=0).indices if plan.runs else margins[:0]
        for run in range(plan.runs):
            rows = self.left()
            number = worst[run][rows]
            start = WorstPoints(self.drawn(rows, number), hits[number, rows], margins[number, rows])
            self.climb(start, rows, plan, TRIALS + run * plan.steps)
        return self.best

    def climb(
        self, run: WorstPoints, rows: Tensor, plan: DrawPlan, number: int = TRIALS, *, domain: bool = True
    ) -> None:
        """Climb from where ``run`` stands, a best so far of its own of the samples ``rows`` (A,).

        Trials are numbered from ``number`` on. Without ``domain`` the draw stays and the pixels alone move.
        """
        point = run.points.copy()
        before, kept_seeds, flats = point, point.seeds, self.ranged.expand(len(rows), -1)
        halving = Halving.over(point.flat(), plan.steps)
        for i in range(plan.steps):
            if not len(rows):
                return
            everyone = torch.arange(len(rows), device=rows.device)
            if plan.climbs:
                assessment, gradient = self.space.evaluate(point, rows)
                run.offer(everyone, point, assessment.fooled, assessment.margin)
                flats = self.ranged & ~(self.slope & (gradient.u != 0))
                gradient.u = gradient.u * domain
                gradient.delta = None if gradient.delta is None else self.masked(gradient.delta, rows)
                kept_seeds = torch.where(assessment.value > halving.best.value, point.seeds, kept_seeds)
                flat, ascent = halving.observe(i, point.flat(), gradient.flat(), assessment.value)
                seeds = torch.where((flat != point.flat()).any(1), kept_seeds, point.seeds)
                here = point.unflat(flat)
                here.seeds = seeds
                point = self.step(here, gradient.unflat(ascent), before, halving.factor, rows)
                before = here
            if plan.tries:
                trial = self.trial(run.points, flats, rows, number + i)
                won = run.offer(everyone, trial, *self.space.look(trial, rows), drift=True)
                point, before = trial.where(won, point), trial.where(won, before)
            if self.early_stop and bool(run.fooled.any()):
                self.best.offer(rows, run.points, run.fooled, run.margin)
                keep = (~run.fooled).nonzero().squeeze(1)
                rows, run, point, before = rows[keep], run.take(keep), point.take(keep), before.take(keep)
                kept_seeds, flats = kept_seeds[keep], flats[keep]
                halving.take(keep)
        if not len(rows):
            return
        if plan.climbs:
            run.offer(torch.arange(len(rows), device=rows.device), point, *self.space.look(point, rows))
        self.best.offer(rows, run.points, run.fooled, run.margin)

    def step(
        self, here: DrawPoints, gradient: DrawPoints, before: DrawPoints, factor: Tensor, rows: Tensor
    ) -> DrawPoints:
        """A projected step of the sign in the cube, and the ball's steepest one in the pixels, both with momentum."""
        cube = self.region.cube
        moved = cube.project(here.u + FIRST_STEP * cube.width * factor.unsqueeze(1) * gradient.u.sign())
        u = cube.project(here.u + MOMENTUM * (moved - here.u) + (1 - MOMENTUM) * (here.u - before.u))
        # A given start may lie on the very edge, or outside the fraction; what has no slope stays where it is.
        u = torch.where(gradient.u == 0, here.u, u)
        around = self.space.around
        if here.delta is None or before.delta is None or gradient.delta is None or around is None:
            return DrawPoints(u, here.seeds)
        with torch.no_grad():
            base = self.space.base(DrawPoints(u, here.seeds), rows)
        ball = around(base, rows)
        adv = base + here.delta
        size = as_size(ball.eps, adv) * 2 * per_sample(factor, adv)
        stepped = ball.ascend(adv, gradient.delta.clone(), size)
        inertia = (1 - MOMENTUM) * (here.delta - before.delta)
        return DrawPoints(u, here.seeds, ball.project(adv + MOMENTUM * (stepped - adv) + inertia) - base)

    def trial(self, point: DrawPoints, flats: Tensor, rows: Tensor, number: int) -> DrawPoints:
        """Draw some of the coordinates ``flats`` (A, P) of ``point`` anew, and half of the time the seeds.

        A share of the coordinates without any slope, one at least; of those that have none just here half, which are
        mostly those of members that are not chosen.
        """
        key = numbered(self.keys[rows], torch.full_like(rows, number))
        dice = uniform_field(mix64(key), len(self.ranged) + 1)
        steep = self.slope
        few = 1 / (self.ranged & ~steep).sum().clamp_min(1)
        changed = flats & (dice[:, 1:] < torch.where(steep, 0.5, few.clamp_min(CHANGED)))
        reseed = (dice[:, 0] < 0.5) | ~changed.any(1)
        seeds = torch.where(reseed, seeds_of(key), point.seeds) if self.region.seeded else point.seeds
        fresh = self.region.cube.uniform(key, len(self.ranged))
        return DrawPoints(torch.where(changed, fresh, point.u), seeds, point.delta)

    def masked(self, pixels: Tensor, rows: Tensor) -> Tensor:
        """A gradient of pixels, zero where the mask is."""
        return pixels if self.mask is None else pixels * (self.mask[rows] != 0)

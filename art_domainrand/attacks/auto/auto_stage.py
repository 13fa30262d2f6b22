"""A stage of Auto-PGD: its starts, its steps, and in L1 its phases."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from art_domainrand.attacks.auto.autopgd import AutoSteps
from art_domainrand.attacks.auto.sparse import SettlingSteps, SparseSteps
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.best import Which
from art_domainrand.attacks.engine.criterion import TARGETED_DLR
from art_domainrand.attacks.engine.runs import ContinuedRun, JudgedRun
from art_domainrand.attacks.engine.stage import Stage, Start
from art_domainrand.attacks.engine.steps import StepRule
from art_domainrand.core.norms import Ball, lp_norm
from art_domainrand.core.random import CLIMB, START, derive, normal

# In L1 the first two phases climb in larger balls (Croce & Hein 2021, section 4.2): how much larger, how many steps.
L1_PHASES = ((3.0, 0.3), (2.0, 0.3))

# The refined variant begins farther out, where other pixels are the best ones, and its last steps settle at the best
# point: of what breaks at all on two networks of digits, 100 steps broke three quarters so, two thirds otherwise.
WIDE_L1_PHASES = ((10.0, 0.3), (4.0, 0.3))
SETTLING = 0.1
SHRINKING = 1 << 20  # what their random draws are for


@dataclass(frozen=True)
class AutoPlan:
    """How Auto-PGD is run; ``original`` follows the authors' algorithm to the letter.

    With ``narrow`` the refined one begins in L1 in the balls of the original, with ``from_best`` at the best point that
    was found before. ``samples`` is how many draws a gradient is a mean over, if not what the user says.
    """

    max_iter: int
    restarts: int = 1
    at_random: bool = True
    early_stop: bool = True
    original: bool = False
    narrow: bool = False
    from_best: bool = False
    samples: int | None = None


def auto_stage(
    balls: Balls,
    plan: AutoPlan,
    loss: Any = None,
    towards: Tensor | None = None,
    worthwhile: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Stage:
    """Auto-PGD with one loss, or with the targeted difference of logits ratio ``towards`` classes (N,)."""
    inputs = balls.inputs
    loss = loss if plan.original else inputs.unsaturated(loss, plan.samples)
    whole = Stage(
        name=f"Auto-PGD, {(loss if isinstance(loss, str) else 'loss') if towards is None else TARGETED_DLR}",
        way=ContinuedRun if plan.from_best else JudgedRun,
        around=balls.around,
        criterion=lambda which: inputs.criterion(which, loss, None if towards is None else towards[which]),
        steps=lambda ball, mask, which: AutoSteps(ball, mask, plan.max_iter, original=plan.original),
        start=auto_start(balls, at_random=plan.at_random),
        max_iter=plan.max_iter,
        restarts=plan.restarts,
        early_stop=plan.early_stop,
        worthwhile=worthwhile,
        samples=plan.samples,
    )
    return whole if balls.norm != 1 else in_l1(whole, balls, plan)


def in_l1(stage: Stage, balls: Balls, plan: AutoPlan) -> Stage:
    """The stage with the steps of Auto-PGD in L1, whose first phases lead up to those that are judged."""
    settling = 0 if plan.original else int(SETTLING * plan.max_iter)
    sparse = plan.max_iter - settling
    phases = L1_PHASES if plan.original or plan.narrow else WIDE_L1_PHASES
    lengths = [min(math.ceil(share * sparse), max(sparse - 1, 0) // len(phases)) for _, share in phases]
    rest = sparse - sum(lengths)

    def steps(ball: Ball, mask: Tensor | None, which: Which) -> StepRule:
        if plan.original:
            return SparseSteps(ball, mask, rest, warm=True, original=True)
        return SettlingSteps(ball, mask, rest, settling, warm=True)

    def lead_up(adv: Tensor, number: int, restart: int, which: Which) -> Tensor:
        factors = [(factor, length) for (factor, _), length in zip(phases, lengths, strict=True)]
        return shrinking_balls(stage, balls, adv, factors, which, (number, restart), plan)

    return replace(stage, steps=steps, lead_up=lead_up, max_iter=rest + settling)


def auto_start(balls: Balls, *, at_random: bool) -> Start:
    """The starts of Auto-PGD: on the surface of the ball in L-inf and L2, a projected normal point in L1."""
    if not at_random:
        return lambda number, restart, around, which: around.origin()

    def chosen(number: int, restart: int, around: Ball, which: Which) -> Tensor:
        return around.project(around.x + balls.masked(surface_noise(balls, which, number, restart), which))

    return chosen


def surface_noise(balls: Balls, which: Which, number: int, restart: int) -> Tensor:
    """Noise (A, ...) of length eps in L-inf and L2, or standard normal in L1."""
    inputs = balls.inputs
    if balls.norm == 1:
        return normal(derive(inputs.keys_of(which), START, number, restart), tuple(inputs.x.shape[1:]))
    noise = balls.starts.of(which, restart, number, inputs.device)
    radius = torch.as_tensor(balls.rows(balls.eps, which), dtype=torch.float64, device=noise.device)
    unit = torch.where(radius > 0, noise / radius, 0.0)  # in L-inf every feature may have its own radius
    length = lp_norm(unit, balls.norm)
    surface: Tensor = (noise / torch.where(length > 0, length, torch.inf)).to(noise.dtype)
    return surface


def shrinking_balls(
    stage: Stage,
    balls: Balls,
    start: Tensor,
    phases: list[tuple[float, int]],
    which: Which,
    run: tuple[int, int],
    plan: AutoPlan,
) -> Tensor:
    """Climb in balls of several times the radius, so many steps in each, from the best point of the one before.

    A random start's own sparsity counts, as in the authors' code.
    """
    inputs, warm = balls.inputs, plan.at_random
    evaluator = inputs.evaluator(which, stage.criterion(which), CLIMB, *run, SHRINKING, samples=stage.samples)
    rows = torch.arange(len(start), device=start.device)
    adv = start
    for factor, length in phases:
        around = balls.around(which, factor)
        adv = around.project(adv)
        steps = SparseSteps(around, inputs.mask_of(which), length, warm=warm, original=plan.original)
        for i in range(length):
            found = evaluator.evaluate(adv, rows)
            adv = steps.next(i, adv, found.gradient, found.value)
        if length:
            found = evaluator.evaluate(adv, rows)
            steps.best.observe(adv, found.gradient, found.value)
            adv, warm = steps.best.adv, True
    return balls.around(which).project(adv)

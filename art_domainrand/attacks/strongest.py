"""The strongest robustness test here: an ensemble of gradient attacks without parameters to tune."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin

from art_domainrand.attacks.auto.auto_stage import AutoPlan, auto_stage
from art_domainrand.attacks.blackbox.square_steps import SquarePlan
from art_domainrand.attacks.blackbox.unmasking import square_stage, unmasking_blocks
from art_domainrand.attacks.engine.arguments import without_writer
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.config import check_name
from art_domainrand.attacks.engine.evaluator import AGREEING_DRAWS
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.runs import ContinuedRun, JudgedRun
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.attacks.ensemble.budgets import (
    BUDGETS,
    BUDGETS_IN_L1,
    BUDGETS_IN_L2,
    DIRECTED_LOSSES,
    FROM_BEST,
    LINEAR,
    MANY_STEPS,
    ONE_STEP,
    SQUARE,
    BudgetLine,
    Climb,
)
from art_domainrand.attacks.ensemble.directed import TOP_CLASSES, directed_start
from art_domainrand.attacks.ensemble.linear import linear_stage
from art_domainrand.attacks.ensemble.reach import within_reach
from art_domainrand.attacks.ensemble.stepping import stepping_stage
from art_domainrand.core import checks as check
from art_domainrand.estimators import check_class_gradients
from art_domainrand.estimators.refused import check_estimator

# Draws per gradient where the estimator is random and the user does not say.
RANDOM_EOT_SAMPLES = 16
# Tells the random numbers of the Square runs of lines, from here on, from those that look for masked gradients.
RUNS_OF_LINES = 1000
# How a run of Square begins.
SQUARES = {SQUARE: JudgedRun, FROM_BEST: ContinuedRun}


class StrongestAttack(GradientAttack, EvasionAttack):
    """A parameter-free ensemble in the spirit of AutoAttack's gradient part (Croce & Hein 2020), at less cost.

    FGSM and PGD on the margin, in L1 Auto-PGD in its place, clear the easy samples; Auto-PGD on cross-entropy and,
    towards one class after the other, on the targeted difference of logits ratio, and short climbs from directed starts
    (Liu et al. 2022, A3) work on what is left; in L-inf Square goes on, without gradients, from the best points of who
    is near. Later stages skip samples that earlier ones brought nowhere near the
    boundary although they did lower the margin, which is where the time of AutoAttack goes. A sample keeps its first
    success, or else the point of largest margin. See :data:`~art_domainrand.attacks.ensemble.budgets.BUDGETS`.

    :param estimator: Any classifier of ART with class gradients.
    :param norm: "inf", ``np.inf``, 1 or 2.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param targeted: Reach ``y`` instead of leaving it; then the stages are margin, cross-entropy and targeted DLR
        towards ``y``, with restarts in place of classes.
    :param batch_size: Images at a time.
    :param verbose: Show a progress bar.
    :param budget: "quick", "standard", or "full", which skips no sample in its own first stages and ends with 5,000
        queries of Square for who is near: it costs what AutoAttack does. Each begins with all of the one before, so
        that more is never weaker for any sample.
    :param seed: None draws random starts from ``np.random``, as ART does. With an int every random number belongs to
        the seed and the image, so that an image has the same result in every call, batch size, order and company.
    :param eot_samples: Draws of a random estimator, or of ``randomization``, that a gradient is the mean of; one means
        16 where something is random.
    :param eot_draws: "fresh", "common", "antithetic" or "sobol" draws, as in :class:`~art_domainrand.PGD`.
    :param randomization: A pipeline that the attack alone looks through, in each step and when it judges success.
    :param quantize: Round to the 256 levels of ``clip_values``; what counts as success is the rounded image.
    :param memory_format: "channels_last" runs convolutions in that layout; None leaves the layout alone.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for the forward pass of the loop; None for full precision.
    :param compile: True, or the name of a ``torch.compile`` backend, to compile the model for the loop.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)

    norm: Any
    eps: Any
    budget: str

    @without_writer
    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        eps: Any = 0.3,
        targeted: bool = False,
        batch_size: int = 32,
        verbose: bool = True,
        *,
        budget: str = "standard",
        seed: int | None = None,
        eot_samples: int = 1,
        eot_draws: str = "fresh",
        randomization: Any = None,
        quantize: bool = False,
        memory_format: str | None = None,
        autocast: torch.dtype | None = None,
        compile: bool | str = False,
    ) -> None:
        check_estimator(estimator, self._estimator_requirements)
        super().__init__(estimator=estimator)
        self._set(locals())

    def _check_params(self) -> None:
        check.check_radius(self.norm, self.eps)
        check_name("budget", self.budget, list(BUDGETS))
        super()._check_params()

    def _stages(self, inputs: Inputs) -> list[Stage]:
        check_class_gradients(self.estimator)  # before a stage that needs none has fooled everyone
        samples = RANDOM_EOT_SAMPLES if inputs.random and inputs.config.eot_samples == 1 else inputs.config.eot_samples
        balls = Balls(inputs, self.norm, self.eps)
        budgets = {np.inf: BUDGETS, 1: BUDGETS_IN_L1}.get(balls.norm, BUDGETS_IN_L2)
        blocks = budgets[self.budget].blocks
        unmasking = unmasking_blocks(balls, [block.unmasking for block in blocks])
        stages: list[Stage] = []
        searches = count(RUNS_OF_LINES)
        for block, by_scores in zip(blocks, unmasking, strict=True):
            stages += [stage for line in block.lines for stage in stages_of(balls, samples, line, searches)] + by_scores
        return stages


def stages_of(balls: Balls, samples: int, line: BudgetLine, searches: Iterator[int]) -> list[Stage]:
    """The stages of one line of a budget, one for each of its turns; gradients are means over ``samples`` draws.

    ``searches`` numbers those without gradients.
    """
    kind, max_iter, turns, reach = line
    worth = within_reach(balls.inputs, TOP_CLASSES, reach)
    if kind in SQUARES:  # a query of a random estimator is a mean over as many draws
        queries = -(-max_iter // (AGREEING_DRAWS if balls.inputs.random else 1))
        plans = [SquarePlan(queries, run=next(searches)) for _ in range(turns)]
        return [square_stage(balls, plan, SQUARES[kind], worth) for plan in plans]
    stepping = stepping_stages(balls, samples, kind, max_iter, turns)
    stages = stepping or auto_stages(balls, AutoPlan(max_iter, samples=samples), kind, turns)
    return [replace(stage, worthwhile=worth, samples=samples) for stage in stages]


def stepping_stages(balls: Balls, samples: int, kind: str | Climb, max_iter: int, turns: int) -> list[Stage]:
    """FGSM, steps on the margin from the original or from directed starts, or towards classes as if it were linear."""
    if kind == ONE_STEP:
        return [stepping_stage(ONE_STEP, balls, balls.inputs.named(None), 1.0, 1, balls.start(at_random=False))]
    if kind == MANY_STEPS:
        return [stepping_stage(MANY_STEPS, balls, "margin", 0.5, max_iter, balls.start(at_random=False))]
    if kind == LINEAR:
        found = balls.inputs.clean(TOP_CLASSES).rivals.shape[1]
        return [linear_stage(balls, rank, TOP_CLASSES) for rank in range(min(turns, found))]
    if isinstance(kind, Climb) or kind not in DIRECTED_LOSSES:
        return []
    loss = balls.inputs.unsaturated(DIRECTED_LOSSES[kind], samples, tempered=True)
    # Each class in turn shall rise, then fall.
    starts = [directed_start(balls, turn // 2, 1 - 2 * (turn % 2), samples=samples) for turn in range(turns)]
    return [stepping_stage(kind, balls, loss, 1.0, max_iter, start) for start in starts]


def auto_stages(balls: Balls, plan: AutoPlan, kind: str | Climb, turns: int) -> list[Stage]:
    """Auto-PGD on a loss, so many times where it is a Climb, or on the targeted DLR towards as many classes."""
    if not turns or isinstance(kind, Climb):
        climb = kind if isinstance(kind, Climb) else Climb(kind)
        plan = replace(plan, narrow=climb.narrow, from_best=climb.from_best)
        climbed = balls.inputs.unsaturated(climb.loss, plan.samples, tempered=True)
        return [auto_stage(balls, plan, climbed) for _ in range(turns or 1)]
    if balls.inputs.config.targeted:  # the class is given: restarts take the place of classes
        return [auto_stage(balls, replace(plan, restarts=turns), "dlr")]
    rivals = balls.inputs.clean(TOP_CLASSES).rivals[:, :turns]
    return [auto_stage(balls, plan, towards=rivals[:, rank]) for rank in range(rivals.shape[1])]

"""The strongest robustness test here: an ensemble of gradient attacks without parameters to tune."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks import arguments as check
from art_domainrand.attacks.aim import TARGETED_DLR, Aim
from art_domainrand.attacks.apgd import Plan, auto_stage, rank_targets
from art_domainrand.attacks.gradient_attack import GradientAttack
from art_domainrand.attacks.job import Job
from art_domainrand.attacks.options import DEFAULTS, AutoOptions, check_options
from art_domainrand.attacks.search import Stage
from art_domainrand.attacks.steps import PGDSteps, Steps, as_size
from art_domainrand.norms import Ball

# Draws per gradient where the estimator is random and the user does not say.
RANDOM_EOT_SAMPLES = 16

# Samples whose margin no stage has lowered by even a tenth go on too: their gradients may be masked.
STUCK = 0.9

# The steps of PGD, as a share of eps, at first; a cosine lets them fall to nothing.
PGD_STEP = 0.5


@dataclass(frozen=True)
class Line:
    """A line of a budget: ``attack`` "fgsm", "pgd" or "auto" (Auto-PGD) on a loss, and for how many steps.

    Towards each of ``classes`` if there are any. It runs on samples that are not fooled yet and, with a ``reach``,
    whose margin is down to that share of what it is on the original.
    """

    attack: str
    loss: str
    max_iter: int
    classes: int = 0
    reach: float = 1.0


FGSM_LINE, PGD_LINE = Line("fgsm", "cross_entropy", 1), Line("pgd", "margin", 50)
"""What every budget begins with, so that it is never weaker than either."""

BUDGETS: dict[str, tuple[Line, ...]] = {
    "quick": (
        FGSM_LINE,
        PGD_LINE,
        Line("auto", "cross_entropy", 40),
        Line("auto", TARGETED_DLR, 30, 3, 0.2),
        Line("auto", "cross_entropy", 50, 0, 0.1),
        Line("auto", TARGETED_DLR, 50, 4, 0.1),
    ),
    "standard": (
        FGSM_LINE,
        PGD_LINE,
        Line("auto", "cross_entropy", 50),
        Line("auto", TARGETED_DLR, 50, 4, 0.3),
        Line("auto", "margin", 100, 0, 0.12),
        Line("auto", "dlr", 100, 0, 0.12),
        Line("auto", "cross_entropy", 100, 0, 0.12),
        Line("auto", "cross_entropy", 100, 0, 0.12),
        Line("auto", TARGETED_DLR, 100, 4, 0.12),
    ),
    "full": (
        FGSM_LINE,
        PGD_LINE,
        Line("auto", "cross_entropy", 100),
        Line("auto", TARGETED_DLR, 100, 9),
    ),
}


class StrongestAttack(GradientAttack, EvasionAttack):
    """A parameter-free ensemble in the spirit of AutoAttack's gradient part (Croce & Hein 2020), at less cost.

    Auto-PGD on the margin clears the easy samples; Auto-PGD on cross-entropy and, towards one class after the other, on
    the targeted difference of logits ratio work on what is left. Later stages skip samples that earlier ones brought
    nowhere near the boundary although they did lower the margin, which is where the time of AutoAttack goes. A sample
    keeps its first success, or else the point of largest margin.

    :param norm: "inf", ``np.inf``, 1 or 2.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param targeted: Reach ``y`` instead of leaving it; then the stages are margin, cross-entropy and targeted DLR
        towards ``y``, with restarts in place of classes.
    :param budget: "quick", "standard", or "full", which skips no sample and costs what AutoAttack's gradient part does.
    :param options: ``seed``, ``memory_format``, ``autocast``, ``compile``, ``eot_samples``, ``eot_draws``,
        ``randomization`` and ``quantize``, as in :class:`~art_domainrand.PGD`. Where something is random, gradients are
        means over 16 draws unless ``eot_samples`` asks for more than one.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    option_names: ClassVar[list[str]] = list(AutoOptions.__annotations__)
    attack_params: ClassVar[list[str]] = [
        *EvasionAttack.attack_params,
        *("norm", "eps", "targeted", "batch_size", "verbose", "budget"),
        *AutoOptions.__annotations__,
    ]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)
    early_stop = True

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
        **options: Unpack[AutoOptions],
    ) -> None:
        check.check_estimator(estimator, self._estimator_requirements)
        check.check_radius(norm, eps)
        self._set_options({**options})
        super().__init__(estimator=estimator)
        self.norm, self.eps, self.targeted, self.batch_size = norm, check.plain(eps), targeted, batch_size
        self.verbose, self.budget = verbose, budget
        self._check_params()

    def _check_params(self) -> None:
        check.check_radius(self.norm, self.eps)
        check.check_counts(batch_size=self.batch_size)
        check.check_flags(targeted=self.targeted, verbose=self.verbose)
        known = isinstance(self.budget, str) and self.budget in BUDGETS
        check.require(known, "budget", f"be one of {list(BUDGETS)}", self.budget)
        check_options({name: getattr(self, name) for name in DEFAULTS if name != "early_stop"})

    def _radius_and_step(self) -> tuple[Any, Any]:
        return self.eps, self.eps

    def _restarts(self) -> int:
        return 1

    def _prepared(self, job: Job) -> Job:
        expectation = job.problem.expectation
        if not job.problem.random or expectation.samples > 1:
            return job
        return replace(job, problem=replace(job.problem, expectation=replace(expectation, samples=RANDOM_EOT_SAMPLES)))

    def _stages(self, job: Job) -> list[Stage]:
        return [stage for line in BUDGETS[self.budget] for stage in stages_of(job, line)]


def stages_of(job: Job, line: Line) -> list[Stage]:
    """The stages of one line of a budget: one, or one for each class aimed at."""
    worth, run = within_reach(job, line.reach), Plan(line.max_iter)
    if line.attack != "auto":
        return [replace(pgd_stage(job, line), worthwhile=worth)]
    if not line.classes:
        return [auto_stage(job, run, line.loss, worthwhile=worth)]
    if job.targeted:  # the class is given: restarts take the place of classes
        return [auto_stage(job, replace(run, restarts=line.classes), "dlr", worthwhile=worth)]
    ranked = rank_targets(job)[:, : line.classes]
    return [auto_stage(job, run, towards=ranked[:, rank], worthwhile=worth) for rank in range(ranked.shape[1])]


def pgd_stage(job: Job, line: Line) -> Stage:
    """FGSM, one step of eps, or PGD with cosine steps, from the original."""

    def steps(ball: Ball, mask: Tensor | None, ids: Tensor) -> Steps:
        share, schedule = (1.0, "constant") if line.attack == "fgsm" else (PGD_STEP, "cosine")
        return PGDSteps(ball, mask, as_size(ball.eps, ball.x) * share, line.max_iter, schedule, None)

    return Stage(
        name=f"{line.attack.upper()}, {line.loss}",
        aim=job.aim(job.named(None) if line.attack == "fgsm" else line.loss),
        steps=steps,
        start=job.start(at_random=False),
        max_iter=line.max_iter,
    )


def within_reach(job: Job, reach: float) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Says which samples have lost enough of their clean margin to be worth more steps, or next to nothing of it."""
    if reach >= 1:
        return None

    def worthwhile(ids: Tensor, margin: Tensor) -> Tensor:
        before = Aim(job.y[ids], -1 if job.targeted else 1).judge(job.clean_scores[ids])[1]
        left = margin / torch.where(before < 0, before, -torch.inf)
        return (left <= reach) | (left >= STUCK)

    return worthwhile

"""The strongest robustness test here: an ensemble of gradient attacks without parameters to tune."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.apgd import Plan, auto_stage, rank_targets
from art_domainrand.attacks.engine.aim import Aim
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.job import Job
from art_domainrand.attacks.engine.search import Stage
from art_domainrand.attacks.engine.steps import PGDSteps, Steps, as_size
from art_domainrand.attacks.options import DEFAULTS, AutoOptions, check_options
from art_domainrand.core import checks as check
from art_domainrand.core.norms import Ball
from art_domainrand.estimators import check_class_gradients

# Draws per gradient where the estimator is random and the user does not say.
RANDOM_EOT_SAMPLES = 16

# Samples whose margin no stage has lowered by even a tenth go on too: their gradients may be masked.
STUCK = 0.9

# The steps of PGD, as a share of eps, at first; a cosine lets them fall to nothing.
PGD_STEP = 0.5


# Per budget: (loss, steps, classes aimed at, reach). A stage runs on samples that are not fooled yet and, with a reach,
# whose margin is down to that share of what it is on the original. Steps are Auto-PGD's, but for FGSM, one of eps on
# the estimator's loss, and PGD, on the margin; every budget begins with both, so that it is never weaker than either.
FGSM, PGD = "FGSM", "PGD"
BUDGETS: dict[str, tuple[tuple[str, int, int, float], ...]] = {
    "quick": (
        (FGSM, 1, 0, 1.0),
        (PGD, 50, 0, 1.0),
        ("cross_entropy", 20, 0, 1.0),
        ("targeted_dlr", 30, 3, 0.2),
        ("cross_entropy", 50, 0, 0.1),
        ("targeted_dlr", 50, 4, 0.1),
    ),
    "standard": (
        (FGSM, 1, 0, 1.0),
        (PGD, 50, 0, 1.0),
        ("cross_entropy", 50, 0, 1.0),
        ("targeted_dlr", 50, 4, 0.3),
        ("margin", 100, 0, 0.12),
        ("dlr", 100, 0, 0.12),
        ("cross_entropy", 100, 0, 0.12),
        ("cross_entropy", 100, 0, 0.12),
        ("targeted_dlr", 100, 4, 0.12),
    ),
    "full": (
        (FGSM, 1, 0, 1.0),
        (PGD, 50, 0, 1.0),
        ("cross_entropy", 100, 0, 1.0),
        ("targeted_dlr", 100, 9, 1.0),
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
        check_class_gradients(self.estimator)  # before a stage that needs none has fooled everyone
        return [stage for stage_plan in BUDGETS[self.budget] for stage in plan(job, *stage_plan)]


def plan(job: Job, loss: str, max_iter: int, classes: int, reach: float) -> list[Stage]:
    """The stages of one line of a budget: one, or one for each class aimed at."""
    worth, run = within_reach(job, reach), Plan(max_iter)
    if loss in (FGSM, PGD):
        return [replace(pgd_stage(job, loss, max_iter), worthwhile=worth)]
    if not classes:
        return [auto_stage(job, run, loss, worthwhile=worth)]
    if job.targeted:  # the class is given: restarts take the place of classes
        return [auto_stage(job, replace(run, restarts=classes), "dlr", worthwhile=worth)]
    ranked = rank_targets(job)[:, :classes]
    return [auto_stage(job, run, towards=ranked[:, rank], worthwhile=worth) for rank in range(ranked.shape[1])]


def pgd_stage(job: Job, name: str, max_iter: int) -> Stage:
    """FGSM, or PGD on the margin with cosine steps, from the original."""
    share, schedule, loss = (1.0, "constant", job.named(None)) if name == FGSM else (PGD_STEP, "cosine", "margin")

    def steps(ball: Ball, mask: Tensor | None, ids: Tensor) -> Steps:
        return PGDSteps(ball, mask, as_size(ball.eps, ball.x) * share, max_iter, schedule, None)

    # FGSM moves everyone, also who is misclassified already: a trainer wants images that are attacked.
    return Stage(name, job.aim(loss), steps, job.start(at_random=False), max_iter, early_stop=name != FGSM)


def within_reach(job: Job, reach: float) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Says which samples have lost enough of their clean margin to be worth more steps, or next to nothing of it."""
    if reach >= 1:
        return None

    def worthwhile(ids: Tensor, margin: Tensor) -> Tensor:
        before = Aim(job.y[ids], -1 if job.targeted else 1).judge(job.clean_scores[ids])[1]
        left = margin / torch.where(before < 0, before, -torch.inf)
        return (left <= reach) | (left >= STUCK)

    return worthwhile

"""Auto-PGD under ART's interface."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.attacks.evasion.auto_projected_gradient_descent import AutoProjectedGradientDescent
from torch import Tensor

from art_domainrand.attacks.engine.aim import TARGETED_DLR, Aim
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.job import Job
from art_domainrand.attacks.engine.oracle import Oracle
from art_domainrand.attacks.engine.search import Stage
from art_domainrand.attacks.engine.steps import AutoSteps, SettlingSteps, SparseSteps, Steps
from art_domainrand.attacks.options import (
    DEFAULTS,
    AutoOptions,
    check_options,
)
from art_domainrand.core import checks as check
from art_domainrand.core.losses import LOSSES
from art_domainrand.core.norms import Ball, lp_norm, rows_of
from art_domainrand.core.random import CLIMB, START, derive, normal

VARIANTS = ("refined", "original")
ART_LOSSES = {"difference_logits_ratio": "dlr"}
LOSS_TYPES = [None, *LOSSES, *ART_LOSSES, TARGETED_DLR]
APGD_OPTIONS = list(AutoOptions.__annotations__)

# In L1 the first two phases climb in larger balls (Croce & Hein 2021, section 4.2): how much larger, how many steps.
L1_PHASES = ((3.0, 0.3), (2.0, 0.3))


# The last steps of the refined variant settle at the best point, as a share of all.
SETTLING = 0.2
SHRINKING = 1 << 20  # what their random draws are for

# Stage, restart, ball and samples (A,) -> where they start.
Start = Callable[[int, int, Ball, Tensor], Tensor]


class AutoPGD(GradientAttack, AutoProjectedGradientDescent):
    """Auto-PGD (Croce & Hein 2020 for L-inf and L2, 2021 for L1), a drop-in for ART's, whose step sizes need no tuning.

    Every sample has its own step size, restarts from its own best point and leaves the batch once it is fooled. What is
    returned is, per sample, the first success, else the point of largest margin.

    :param norm: "inf", ``np.inf``, 1 or 2.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param eps_step: Not used: steps start at 2 eps (1 eps in L1) as in the paper. ART takes it.
    :param max_iter: Steps per restart.
    :param targeted: Reach ``y`` instead of leaving it.
    :param nb_random_init: Restarts from random points of the ball; 0 starts at ``x``.
    :param loss_type: "cross_entropy", "dlr" (ART's "difference_logits_ratio"), "margin", "targeted_dlr" (untargeted
        attacks only: every restart runs once towards each of the ``nb_target_classes`` best scored other classes), a
        function of scores (B, K) and class indices (B,) to (B,), or None: the gradient is that of the estimator's own
        loss, and the margin, which has a value for every sample, decides about step sizes.
    :param nb_target_classes: How many classes "targeted_dlr" aims at (the paper's nine).
    :param early_stop: Let samples go once they are fooled.
    :param variant: "refined", or "original" for the authors' algorithm to the letter. Refined, L2 points are projected
        to the nearest point of ball and box, L1 steps spend nothing on pixels at the end of their range and settle at
        the end, and cross-entropy is climbed as log-odds, which do not saturate; elsewhere both are the same.
    :param options: ``seed``, ``memory_format``, ``autocast``, ``compile``, ``eot_samples``, ``eot_draws``,
        ``randomization`` and ``quantize``, as in :class:`~art_domainrand.PGD`.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    option_names: ClassVar[list[str]] = APGD_OPTIONS
    attack_params = (
        AutoProjectedGradientDescent.attack_params + APGD_OPTIONS + ["early_stop", "nb_target_classes", "variant"]
    )

    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        eps: Any = 0.3,
        eps_step: Any = 0.1,
        max_iter: int = 100,
        targeted: bool = False,
        nb_random_init: int = 5,
        batch_size: int = 32,
        loss_type: str | Callable[[Tensor, Tensor], Tensor] | None = None,
        verbose: bool = True,
        *,
        nb_target_classes: int = 9,
        early_stop: bool = True,
        variant: str = "refined",
        **options: Unpack[AutoOptions],
    ) -> None:
        check.check_estimator(estimator, self._estimator_requirements)
        check_auto(norm, eps, eps_step)
        self._set_options({**options})
        # Not ART's constructor: it builds another estimator around the model to change its loss.
        EvasionAttack.__init__(self, estimator=estimator)
        self.norm, self.eps, self.eps_step = norm, check.plain(eps), check.plain(eps_step)
        self.max_iter, self.targeted, self.nb_random_init = max_iter, targeted, nb_random_init
        self.batch_size, self.loss_type, self.verbose = batch_size, loss_type, verbose
        self.nb_target_classes, self.early_stop, self.variant = nb_target_classes, early_stop, variant
        self._check_params()

    def _check_params(self) -> None:
        check_auto(self.norm, self.eps, self.eps_step)
        check.check_counts(
            max_iter=self.max_iter,
            nb_random_init=self.nb_random_init,
            nb_target_classes=self.nb_target_classes,
            batch_size=self.batch_size,
        )
        check.require(self.nb_target_classes >= 1, "nb_target_classes", "be >= 1", self.nb_target_classes)
        check.check_flags(targeted=self.targeted, early_stop=self.early_stop, verbose=self.verbose)
        check.require(self.variant in VARIANTS, "variant", f"be one of {list(VARIANTS)}", self.variant)
        loss = self.loss_type
        rule = f"be one of {LOSS_TYPES} or a function of scores and labels"
        known = loss is None or (loss in LOSS_TYPES if isinstance(loss, str) else callable(loss))
        check.require(known, "loss_type", rule, loss)
        both = self.targeted and loss == TARGETED_DLR
        check.require(not both, "loss_type", 'be other than "targeted_dlr" (it is for leaving y) if targeted', loss)
        check_options({name: getattr(self, name) for name in DEFAULTS})

    def _radius_and_step(self) -> tuple[Any, Any]:
        return self.eps, self.eps  # the step sizes are Auto-PGD's own

    def _restarts(self) -> int:
        return max(1, self.nb_random_init)

    def _stages(self, job: Job) -> list[Stage]:
        plan = Plan(
            self.max_iter, self._restarts(), self.nb_random_init > 0, self.early_stop, self.variant == "original"
        )
        if self.loss_type != TARGETED_DLR:
            loss = ART_LOSSES.get(self.loss_type, self.loss_type) if isinstance(self.loss_type, str) else self.loss_type
            return [auto_stage(job, plan, loss)]
        ranked = rank_targets(job)[:, : self.nb_target_classes]
        return [auto_stage(job, plan, towards=ranked[:, rank]) for rank in range(ranked.shape[1])]


def check_auto(norm: Any, eps: Any, eps_step: Any) -> None:
    """Check the ball, and ``eps_step`` although it is not used; it need not be of the same kind as ``eps``."""
    check.check_radius(norm, eps)
    number = isinstance(eps_step, (Real, np.ndarray)) and not isinstance(eps_step, bool)
    check.require(number and bool(np.all(np.asarray(eps_step) > 0)), "eps_step", "be > 0", eps_step)


@dataclass(frozen=True)
class Plan:
    """How Auto-PGD is run; ``original`` follows the authors' algorithm to the letter."""

    max_iter: int
    restarts: int = 1
    at_random: bool = True
    early_stop: bool = True
    original: bool = False


def auto_stage(
    job: Job,
    plan: Plan,
    loss: Any = None,
    towards: Tensor | None = None,
    worthwhile: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Stage:
    """Auto-PGD with one loss, or with the targeted difference of logits ratio ``towards`` classes (N,)."""
    sign = -1 if job.targeted else 1
    loss = loss if plan.original else job.unsaturated(loss)

    def aim(ids: Tensor) -> Aim:
        return Aim(job.y[ids], sign, loss, None if towards is None else towards[ids])

    whole = Stage(
        name=f"Auto-PGD, {(loss if isinstance(loss, str) else 'loss') if towards is None else TARGETED_DLR}",
        aim=aim,
        steps=lambda ball, mask, ids: AutoSteps(ball, mask, plan.max_iter, original=plan.original),
        start=auto_start(job, plan.at_random),
        max_iter=plan.max_iter,
        restarts=plan.restarts,
        early_stop=plan.early_stop,
        worthwhile=worthwhile,
    )
    return whole if job.starts.norm != 1 else in_l1(whole, job, plan)


def in_l1(stage: Stage, job: Job, plan: Plan) -> Stage:
    """The stage with the steps of Auto-PGD in L1, whose first phases are part of the start."""
    settling = 0 if plan.original else int(SETTLING * plan.max_iter)
    sparse = plan.max_iter - settling
    lengths = [min(math.ceil(share * sparse), max(sparse - 1, 0) // 2) for _, share in L1_PHASES]
    rest = sparse - sum(lengths)

    def steps(ball: Ball, mask: Tensor | None, ids: Tensor) -> Steps:
        if plan.original:
            return SparseSteps(ball, mask, rest, warm=True, original=True)
        return SettlingSteps(ball, mask, rest, settling, warm=True)

    def start(number: int, restart: int, around: Ball, ids: Tensor) -> Tensor:
        first = stage.start(number, restart, around, ids)
        return shrinking_balls(job, stage.aim(ids), first, lengths, ids, (number, restart), plan)

    return replace(stage, steps=steps, start=start, max_iter=rest + settling)


def auto_start(job: Job, at_random: bool) -> Start:
    """The starts of Auto-PGD: on the surface of the ball in L-inf and L2, a projected normal point in L1."""
    if not at_random:
        return lambda stage, restart, around, ids: around.origin()

    def chosen(stage: int, restart: int, around: Ball, ids: Tensor) -> Tensor:
        noise, mask = surface_noise(job, ids, stage, restart), job.problem.mask(ids)
        noise = noise if mask is None else noise * mask
        return around.project(around.x + noise)

    return chosen


def surface_noise(job: Job, ids: Tensor, stage: int, restart: int) -> Tensor:
    """Noise (A, ...) of length eps in L-inf and L2, or standard normal in L1."""
    if job.starts.norm == 1:
        keys = job.problem.keys[ids.to(job.problem.keys.device)].to(ids.device)
        return normal(derive(keys, START, stage, restart), tuple(job.x.shape[1:]))
    noise = job.starts.of(ids, restart, stage)
    eps = job.starts.eps
    radius = rows_of(eps, job.x, ids.cpu())
    radius = torch.as_tensor(radius, dtype=torch.float64, device=noise.device)
    unit = torch.where(radius > 0, noise / radius, 0.0)  # in L-inf every feature may have its own radius
    length = lp_norm(unit, job.starts.norm)
    surface: Tensor = (noise / torch.where(length > 0, length, torch.inf)).to(noise.dtype)
    return surface


def shrinking_balls(
    job: Job, aim: Aim, start: Tensor, lengths: list[int], ids: Tensor, run: tuple[int, int], plan: Plan
) -> Tensor:
    """Climb in balls of three and two times the radius, each from the best point of the one before.

    A random start's own sparsity counts, as in the authors' code.
    """
    problem, warm = job.problem, plan.at_random
    keys = derive(problem.keys[ids.to(problem.keys.device)].to(ids.device), CLIMB, *run, SHRINKING)
    oracle = Oracle(
        problem.source, aim, problem.expectation, keys, random=problem.random, batch_size=problem.batch_size
    )
    rows = torch.arange(len(ids), device=ids.device)
    adv = start
    for (factor, _), length in zip(L1_PHASES, lengths, strict=True):
        around = problem.ball(ids)
        around.eps = around.eps * factor
        adv = around.project(adv)
        steps = SparseSteps(around, problem.mask(ids), length, warm=warm, original=plan.original)
        for i in range(length):
            adv = steps.next(i, adv, oracle.evaluate(adv, rows))
        if length:
            standing = oracle.evaluate(adv, rows)
            steps.best.observe(adv, standing.gradient, standing.value)
            adv, warm = steps.best.adv, True
    return problem.ball(ids).project(adv)


def rank_targets(job: Job) -> Tensor:
    """The other classes of every sample (N, K - 1), by falling score of the estimator on the original."""
    own = job.y.argmax(1, keepdim=True)
    return job.clean_scores.scatter(1, own, -torch.inf).argsort(dim=1, descending=True)[:, :-1]

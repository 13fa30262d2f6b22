"""Projected gradient descent under ART's interface."""

import math
from typing import Any, Unpack

import numpy as np
import torch
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_numpy import (
    ProjectedGradientDescentCommon,
)
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_pytorch import (
    ProjectedGradientDescentPyTorch,
)
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from scipy.stats import truncnorm

from art_domainrand.attacks.engine.art_loop import ArtLoop, Batch
from art_domainrand.attacks.engine.ascent import Ascent, ascend
from art_domainrand.attacks.engine.gradient_attack import INSTEAD, SEARCH_PARAMS
from art_domainrand.attacks.engine.job import Job
from art_domainrand.attacks.engine.search import Stage
from art_domainrand.attacks.engine.steps import SCHEDULES, PGDSteps
from art_domainrand.attacks.options import SearchOptions, check_options
from art_domainrand.core import checks as check
from art_domainrand.core.random import derive, uniform_field


class PGD(ArtLoop, ProjectedGradientDescentPyTorch):
    """Projected gradient descent (Madry et al. 2018), a drop-in for ART's ``ProjectedGradientDescent``.

    Parameters have ART's names and meaning; from ``step_schedule`` on they are keyword-only additions, off by default.

    :param norm: "inf", ``np.inf`` or a real p >= 1.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param eps_step: Step size, of the same kind as ``eps``.
    :param decay: Momentum (Dong et al. 2018); None for none.
    :param max_iter: Steps per restart.
    :param targeted: Reach ``y`` instead of leaving it.
    :param num_random_init: Restarts from random points of the ball; 0 starts at ``x``. Each sample keeps its best
        restart.
    :param random_eps: Draw eps from a truncated normal at every call (Kurakin et al. 2017), keeping eps / eps_step.
    :param step_schedule: "constant", "cosine" (to zero over ``max_iter``) or "halving" (Auto-PGD's rule, from
        ``eps_step`` on).
    :param seed: None draws random starts from ``np.random`` as ART does. With an int every random number belongs to the
        seed and the image, so that an image has the same result in every call, batch size, order and company. (So a
        trainer of ART's would start from the same point in every epoch: leave None there. ``random_eps`` draws anew.)
    :param loss: "cross_entropy", "margin" or "dlr" on the class scores, for a targeted attack their targeted forms, or
        a function of scores (B, K) and class indices (B,) to (B,), which the attack raises (lowers if targeted). None:
        the estimator's own loss.
    :param early_stop: Let samples go once they are fooled: the batch shrinks, later restarts run on the others only,
        and where few are left several restarts share a batch.
    :param keep_best: Return the iterate of largest margin of each sample instead of the last.
    :param eot_samples: Average the gradient over this many draws of a random estimator, or of ``randomization``, in one
        batch (expectation over transformation, Athalye et al. 2018).
    :param eot_draws: "fresh" draws at each step, "common" ones for all steps, "antithetic" or "sobol" ones, of lower
        variance; the last three reach preprocessors of this library too, other randomness is drawn afresh.
    :param randomization: A pipeline that the attack alone looks through, in each step and when it judges success.
    :param quantize: Round to the 256 levels of ``clip_values``; what counts as success is the rounded image.
    :param memory_format: "channels_last" runs convolutions in that layout; None leaves the layout alone.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for the forward pass of the loop; None for full precision.
    :param compile: True, or the name of a ``torch.compile`` backend, to compile the model for the loop.
    :raises ValueError, TypeError: naming the argument, the rule and the value.

    Where the estimator is random, a success must hold under ten fresh draws that no step has seen, and the best iterate
    is chosen by the mean margin over ten.

    Any ART estimator with loss gradients will do; ``PyTorchClassifier`` and its subclasses stay on the device.
    """

    attack_params = ProjectedGradientDescentPyTorch.attack_params + SEARCH_PARAMS + ["step_schedule"]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin)

    max_iter: int
    decay: float | None
    random_eps: bool
    _eps_drawn: int = 0

    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        eps: Any = 0.3,
        eps_step: Any = 0.1,
        decay: float | None = None,
        max_iter: int = 100,
        targeted: bool = False,
        num_random_init: int = 0,
        batch_size: int = 32,
        random_eps: bool = False,
        summary_writer: Any = False,
        verbose: bool = True,
        *,
        step_schedule: str = "constant",
        **options: Unpack[SearchOptions],
    ) -> None:
        check.check_estimator(estimator, self._estimator_requirements)
        check_pgd(norm, eps, eps_step, decay, max_iter, targeted, num_random_init, batch_size, random_eps, verbose)
        check_schedule(step_schedule)
        check_single_run(summary_writer, num_random_init)
        eps, eps_step = check.plain(eps), check.plain(eps_step)
        self.step_schedule = step_schedule
        self._set_options({**options})
        # Not the constructor of ProjectedGradientDescentPyTorch: it refuses estimators that have no PyTorch
        # preprocessing.
        ProjectedGradientDescentCommon.__init__(
            self,
            estimator=estimator,
            norm=norm,
            eps=eps,
            eps_step=eps_step,
            decay=decay,
            max_iter=max_iter,
            targeted=bool(targeted),
            num_random_init=int(num_random_init),
            batch_size=int(batch_size),
            random_eps=False,  # ART would build a distribution from eps here that goes stale with set_params
            summary_writer=summary_writer,
            verbose=bool(verbose),
        )
        self.random_eps = bool(random_eps)

    def _check_params(self) -> None:
        # ART's PGD has FGM's parameter but ignores it, so that its metrics would take any distance for the least.
        check.require(not self.minimal, "minimal", f"be False{INSTEAD['minimal']}", self.minimal)
        check_pgd(
            self.norm,
            self.eps,
            self.eps_step,
            self.decay,
            self.max_iter,
            self.targeted,
            self.num_random_init,
            self.batch_size,
            self.random_eps,
            self.verbose,
        )
        check_options(self._options())
        check_schedule(self.step_schedule)
        check_single_run(self.summary_writer, self.num_random_init)

    def _radius_and_step(self) -> tuple[Any, Any]:
        if not self.random_eps:
            return self.eps, self.eps_step
        eps = np.round(self._draw_eps(), 10)
        # eps / eps_step is kept; a radius of zero needs no step.
        scale = np.divide(eps, self.eps, out=np.zeros(np.shape(eps)), where=np.asarray(self.eps) > 0)
        step = np.maximum(self.eps_step * scale, np.finfo(np.float32).tiny)
        return (eps, step) if isinstance(self.eps, np.ndarray) else (float(eps), float(step))

    def _draw_eps(self) -> Any:
        """Draw eps from a normal of mean 0 and deviation eps / 2, truncated to [0, eps], as ART does."""
        shape = np.shape(self.eps)
        if self.seed is None:
            unit = truncnorm(0, 2).rvs(size=shape or 1)
        else:
            self._eps_drawn += 1
            key = derive(torch.zeros(1, dtype=torch.int64), int(self.seed), self._eps_drawn)
            u = uniform_field(key, math.prod(shape), torch.float64).reshape(shape or (1,))
            unit = truncnorm(0, 2).ppf(u.numpy())
        return (unit if shape else unit[0]) * self.eps / 2

    def _restarts(self) -> int:
        return max(1, self.num_random_init)

    def _climb(self, batch: Batch) -> Ascent:
        # ART perturbs at random only as part of the first step, so without steps the image stays as it is.
        start = batch.start if self.max_iter > 0 else batch.space.x
        return ascend(
            batch.gradient(), batch.space, start, batch.size, self.max_iter, batch.mask, self.decay, batch.observe
        )

    def _searches(self) -> bool:
        return super()._searches() or self.step_schedule != "constant"

    def _stages(self, job: Job) -> list[Stage]:
        stage = Stage(
            name=type(self).__name__,
            aim=job.aim(job.named(self.loss)),
            steps=lambda ball, mask, ids: PGDSteps(
                ball, mask, job.sizes(ids), self.max_iter, self.step_schedule, self.decay
            ),
            start=job.start(at_random=self.num_random_init > 0 and self.max_iter > 0),
            max_iter=self.max_iter,
            restarts=self._restarts(),
            early_stop=self.early_stop,
            keep_best=self.keep_best,
        )
        return [stage]

    def _schedule(self, restarts: int, batches: list[slice]) -> list[tuple[int, slice]]:
        return [(restart, rows) for rows in batches for restart in range(restarts)]

    def _drawn_with(self, rows: slice, n: int) -> slice:
        return rows


def check_pgd(
    norm: Any,
    eps: Any,
    eps_step: Any,
    decay: Any,
    max_iter: Any,
    targeted: Any,
    num_random_init: Any,
    batch_size: Any,
    random_eps: Any,
    verbose: Any,
) -> None:
    """Check every parameter of :class:`PGD` that ART has too."""
    check.check_budget(norm, eps, eps_step)
    check.check_counts(max_iter=max_iter, num_random_init=num_random_init, batch_size=batch_size)
    check.check_flags(targeted=targeted, random_eps=random_eps, verbose=verbose)
    number = isinstance(decay, (int, float, np.number))
    check.require(decay is None or (number and decay >= 0), "decay", "be None or a number >= 0", decay)


def check_single_run(summary_writer: Any, num_random_init: int) -> None:
    """ART's summary writer follows one run, not several restarts."""
    alone = not summary_writer or num_random_init <= 1
    check.require(alone, "num_random_init", "be 0 or 1 with a summary_writer", num_random_init)


def check_schedule(step_schedule: Any) -> None:
    """Check the name of PGD's step schedule."""
    check.require(step_schedule in SCHEDULES, "step_schedule", f"be one of {list(SCHEDULES)}", step_schedule)

"""Projected gradient descent under ART's interface."""

import math
from collections.abc import Callable
from typing import Any

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
from torch import Tensor

from art_domainrand.attacks.auto.autopgd import HalvingSteps
from art_domainrand.attacks.engine.arguments import INSTEAD
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.best import Which
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.runs import ByGradient, JudgedRun
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.attacks.engine.steps import PGDSteps, StepRule
from art_domainrand.core import checks as check
from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.norms import Ball
from art_domainrand.core.random import derive, uniform_field
from art_domainrand.estimators.refused import check_estimator


class PGD(GradientAttack, ProjectedGradientDescentPyTorch):
    """Projected gradient descent (Madry et al. 2018), a drop-in for ART's ``ProjectedGradientDescent``.

    Parameters have ART's names and meaning; from ``step_schedule`` on they are keyword-only additions, off by default.

    :param estimator: Any estimator of ART with loss gradients; ``PyTorchClassifier`` and its subclasses stay on
        the device.
    :param norm: "inf", ``np.inf`` or a real p >= 1.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param eps_step: Step size, of the same kind as ``eps``.
    :param decay: Momentum (Dong et al. 2018); None for none.
    :param max_iter: Steps per restart.
    :param targeted: Reach ``y`` instead of leaving it.
    :param num_random_init: Restarts from random points of the ball; 0 starts at ``x``. Each sample keeps its best
        restart.
    :param batch_size: Images at a time; restarts of few images share a batch.
    :param random_eps: Draw eps from a truncated normal at every call (Kurakin et al. 2017), keeping eps / eps_step.
    :param summary_writer: As ART's: True, a folder or a ``SummaryWriter`` to follow the steps of ART's own
        algorithm.
    :param verbose: Show a progress bar.
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
    """

    _estimator_requirements = (BaseEstimator, LossGradientsMixin)

    eps: Any
    eps_step: Any
    max_iter: int
    decay: float | None
    random_eps: bool
    _eps_drawn: int = 0

    @suggesting_names
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
        seed: int | None = None,
        loss: str | Callable[[Tensor, Tensor], Tensor] | None = None,
        early_stop: bool = False,
        keep_best: bool = False,
        eot_samples: int = 1,
        eot_draws: str = "fresh",
        randomization: Any = None,
        quantize: bool = False,
        memory_format: str | None = None,
        autocast: torch.dtype | None = None,
        compile: bool | str = False,
    ) -> None:
        check_estimator(estimator, self._estimator_requirements)
        self._set(locals())
        # Not the constructor of ProjectedGradientDescentPyTorch: it refuses estimators that have no PyTorch
        # preprocessing.
        ProjectedGradientDescentCommon.__init__(
            self,
            estimator=estimator,
            norm=self.norm,
            eps=self.eps,
            eps_step=self.eps_step,
            decay=self.decay,
            max_iter=self.max_iter,
            targeted=self.targeted,
            num_random_init=self.num_random_init,
            batch_size=self.batch_size,
            random_eps=False,  # ART would build a distribution from eps here that goes stale with set_params
            summary_writer=summary_writer,
            verbose=self.verbose,
        )
        self.random_eps = bool(random_eps)

    def _check_params(self) -> None:
        # ART's PGD has FGM's parameter but ignores it, so that its metrics would take any distance for the least.
        check.require(not getattr(self, "minimal", False), "minimal", f"be False{INSTEAD['minimal']}", True)
        check.check_budget(self.norm, self.eps, self.eps_step)
        check.check_counts(max_iter=self.max_iter, num_random_init=self.num_random_init)
        check.check_flags(random_eps=self.random_eps)
        decay = self.decay is None or (isinstance(self.decay, (int, float, np.number)) and self.decay >= 0)
        check.require(decay, "decay", "be None or a number >= 0", self.decay)
        super()._check_params()
        # ART's summary writer follows one run, not several restarts.
        alone = not self.summary_writer or self.num_random_init <= 1
        check.require(alone, "num_random_init", "be 0 or 1 with a summary_writer", self.num_random_init)

    def _stages(self, inputs: Inputs) -> list[Stage]:
        eps, eps_step = self._radius_and_step()
        balls = Balls(inputs, self.norm, eps)
        sizes, loss = balls.step(eps_step), inputs.named(self.loss)
        config, restarts = inputs.config, max(1, self.num_random_init)

        arts_way = self._arts_way(inputs, compares=restarts > 1)

        def steps(ball: Ball, mask: Tensor | None, which: Which) -> StepRule:
            if config.step_schedule == "halving":
                return HalvingSteps(ball, mask, sizes(which), self.max_iter, decay=self.decay)
            cosine = self.max_iter if config.step_schedule == "cosine" else None
            return PGDSteps(ball, mask, sizes(which), decay=self.decay, cosine_over=cosine)

        return [
            Stage(
                name=type(self).__name__,
                way=ByGradient if arts_way else JudgedRun,
                around=balls.around,
                criterion=lambda which: inputs.criterion(which, loss),
                steps=steps,
                # ART perturbs at random only as part of the first step, so without steps the image stays as it is.
                start=balls.start(at_random=self.num_random_init > 0 and self.max_iter > 0, as_given=arts_way),
                max_iter=self.max_iter,
                restarts=restarts,
                early_stop=config.early_stop,
                keep_best=config.keep_best,
                whole_batches=not config.early_stop,  # the order in which ART runs batches and draws their starts
                later_success=True,
                observe=self._observer(inputs),
            )
        ]

    def _radius_and_step(self) -> tuple[Any, Any]:
        """eps and the step size of this call."""
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

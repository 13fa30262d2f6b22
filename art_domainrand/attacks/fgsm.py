"""The fast gradient (sign) method under ART's interface."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from art.attacks.evasion.fast_gradient import FastGradientMethod
from art.estimators.classification.classifier import ClassifierMixin
from torch import Tensor

from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.best import Which
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.runs import ByGradient, JudgedRun
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.attacks.engine.steps import GrowingSteps, PGDSteps, StepRule, as_size, whole_steps
from art_domainrand.core import checks as check
from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.norms import Ball
from art_domainrand.estimators import open_estimator
from art_domainrand.estimators.refused import check_estimator


class FGSM(GradientAttack, FastGradientMethod):
    """The fast gradient sign method (Goodfellow et al. 2015) and its other norms, a drop-in for ART's version.

    Parameters have ART's names and meaning; from ``verbose`` on they are keyword-only additions, off by default.

    :param estimator: Any estimator of ART with loss gradients.
    :param norm: "inf", ``np.inf`` or a real p >= 1.
    :param eps: Radius of the ball and length of the step, a number or an array that broadcasts to ``x``.
    :param eps_step: With ``minimal``, the grid of radii: multiples of ``eps_step`` and last ``eps`` itself.
    :param targeted: Reach ``y`` instead of leaving it.
    :param num_random_init: Restarts from random points of the ball; 0 starts at ``x``. Each sample keeps its best
        restart.
    :param batch_size: Images at a time.
    :param minimal: Search the smallest radius on the grid that succeeds, per sample; where none does, ``eps`` is used.
    :param summary_writer: As ART's: True, a folder or a ``SummaryWriter`` to follow the steps of ART's own
        algorithm.
    :param verbose: Show a progress bar.
    :param seed: None draws random starts from ``np.random``, as ART does. With an int every random number belongs to
        the seed and the image, so that an image has the same result in every call, batch size, order and company.
    :param loss: What is climbed, as in :class:`~art_domainrand.PGD`; None for the estimator's own loss.
    :param early_stop: Let samples go once they are fooled.
    :param keep_best: Return the point of largest margin of each sample instead of the last.
    :param eot_samples: Draws of a random estimator, or of ``randomization``, that a gradient is the mean of.
    :param eot_draws: "fresh", "common", "antithetic" or "sobol" draws, as in :class:`~art_domainrand.PGD`.
    :param randomization: A pipeline that the attack alone looks through, in each step and when it judges success.
    :param quantize: Round to the 256 levels of ``clip_values``; what counts as success is the rounded image.
    :param memory_format: "channels_last" runs convolutions in that layout; None leaves the layout alone.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for the forward pass of the loop; None for full precision.
    :param compile: True, or the name of a ``torch.compile`` backend, to compile the model for the loop.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    _shares_ties: ClassVar[bool] = True

    eps: Any
    eps_step: Any
    minimal: bool
    num_random_init: int
    verbose: bool

    @suggesting_names
    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        eps: Any = 0.3,
        eps_step: Any = 0.1,
        targeted: bool = False,
        num_random_init: int = 0,
        batch_size: int = 32,
        minimal: bool = False,
        summary_writer: Any = False,
        *,
        verbose: bool = False,
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
        self._estimator = estimator
        self._set(locals())
        super().__init__(
            estimator=estimator,
            norm=self.norm,
            eps=self.eps,
            eps_step=self.eps_step,
            targeted=self.targeted,
            num_random_init=self.num_random_init,
            batch_size=self.batch_size,
            minimal=self.minimal,
            summary_writer=summary_writer,
        )

    def _check_params(self) -> None:
        check.check_budget(self.norm, self.eps, self.eps_step)
        check.check_counts(num_random_init=self.num_random_init)
        check.check_flags(minimal=self.minimal)
        classes = isinstance(self.estimator, ClassifierMixin)
        check.require(classes or not self.minimal, "minimal", "be False for an estimator without classes", self.minimal)
        super()._check_params()

    def _stages(self, inputs: Inputs) -> list[Stage]:
        balls, config = Balls(inputs, self.norm, self.eps, one_call=True), inputs.config
        sizes, loss = balls.step(self.eps_step), inputs.named(self.loss)
        restarts = 1 if self.minimal else max(1, self.num_random_init)
        arts_way = self._arts_way(inputs, compares=self.minimal or restarts > 1)

        def steps(ball: Ball, mask: Tensor | None, which: Which) -> StepRule:
            if self.minimal:
                return GrowingSteps(ball, mask, sizes(which))
            return PGDSteps(ball, mask, as_size(ball.eps, ball.x))

        return [
            Stage(
                name=type(self).__name__,
                way=ByGradient if arts_way and not self.minimal else JudgedRun,
                around=balls.around,
                criterion=lambda which: inputs.criterion(which, loss),
                steps=steps,
                start=balls.start(at_random=self.num_random_init > 0 and not self.minimal, as_given=arts_way),
                max_iter=whole_steps(balls.eps, sizes(slice(0, len(inputs)))) if self.minimal else 1,
                restarts=restarts,
                early_stop=config.early_stop or self.minimal,
                keep_best=config.keep_best,
                later_success=True,
                judge_start=not (arts_way and self.minimal),
                observe=self._observer(inputs),
            )
        ]

    def _generate_ragged(self, x: Any, y: Any, mask: Any) -> check.Array:
        """Images of different sizes (object detection) go through ART's own loop, image by image."""
        rule = "be 0 for an object array, whose images have balls of different sizes"
        check.require(not self.num_random_init, "num_random_init", rule, self.num_random_init)
        with open_estimator(self.estimator):
            ragged: check.Array = FastGradientMethod.generate(self, x, y, mask=mask)
        return ragged

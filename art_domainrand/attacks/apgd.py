"""Auto-PGD under ART's interface."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.attacks.evasion.auto_projected_gradient_descent import AutoProjectedGradientDescent
from torch import Tensor

from art_domainrand.attacks.auto.auto_stage import AutoPlan, auto_stage
from art_domainrand.attacks.engine.arguments import without_writer
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.config import check_name
from art_domainrand.attacks.engine.criterion import TARGETED_DLR
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.core import checks as check
from art_domainrand.core.losses import LOSSES
from art_domainrand.estimators.refused import check_estimator

VARIANTS = ("refined", "original")
ART_LOSSES = {"difference_logits_ratio": "dlr"}
LOSS_TYPES = [None, *LOSSES, *ART_LOSSES, TARGETED_DLR]


class AutoPGD(GradientAttack, AutoProjectedGradientDescent):
    """Auto-PGD (Croce & Hein 2020 for L-inf and L2, 2021 for L1), a drop-in for ART's, whose step sizes need no tuning.

    Every sample has its own step size, restarts from its own best point and leaves the batch once it is fooled. What is
    returned is, per sample, the first success, else the point of largest margin.

    :param estimator: Any classifier of ART with loss gradients; for a loss on the class scores with class
        gradients too.
    :param norm: "inf", ``np.inf``, 1 or 2.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param eps_step: Not used: steps start at 2 eps (1 eps in L1) as in the paper. ART takes it.
    :param max_iter: Steps per restart.
    :param targeted: Reach ``y`` instead of leaving it.
    :param nb_random_init: Restarts from random points of the ball; 0 starts at ``x``.
    :param batch_size: Images at a time.
    :param loss_type: "cross_entropy", "dlr" (ART's "difference_logits_ratio"), "margin", "targeted_dlr" (untargeted
        attacks only: every restart runs once towards each of the ``nb_target_classes`` best scored other classes), a
        function of scores (B, K) and class indices (B,) to (B,), or None: the gradient is that of the estimator's own
        loss, and the margin, which has a value for every sample, decides about step sizes.
    :param verbose: Show a progress bar.
    :param nb_target_classes: How many classes "targeted_dlr" aims at (the paper's nine).
    :param early_stop: Let samples go once they are fooled.
    :param variant: "refined", or "original" for the authors' algorithm to the letter. Refined, L2 points are projected
        to the nearest point of ball and box, L1 steps begin in larger balls, spend nothing on pixels at the end of
        their range and settle at the end, and cross-entropy is climbed as log-odds, which do not saturate; elsewhere
        both are the same.
    :param seed: None draws random starts from ``np.random``, as ART does. With an int every random number belongs to
        the seed and the image, so that an image has the same result in every call, batch size, order and company.
    :param eot_samples: Draws of a random estimator, or of ``randomization``, that a gradient is the mean of.
    :param eot_draws: "fresh", "common", "antithetic" or "sobol" draws, as in :class:`~art_domainrand.PGD`.
    :param randomization: A pipeline that the attack alone looks through, in each step and when it judges success.
    :param quantize: Round to the 256 levels of ``clip_values``; what counts as success is the rounded image.
    :param memory_format: "channels_last" runs convolutions in that layout; None leaves the layout alone.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for the forward pass of the loop; None for full precision.
    :param compile: True, or the name of a ``torch.compile`` backend, to compile the model for the loop.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    eps: Any
    max_iter: int
    nb_random_init: int
    loss_type: Any
    nb_target_classes: int
    variant: str

    @without_writer
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
        # Not ART's constructor: it builds another estimator around the model to change its loss.
        EvasionAttack.__init__(self, estimator=estimator)
        self._set(locals())

    def _check_params(self) -> None:
        check_auto(self.norm, self.eps, self.eps_step)
        check.check_counts(
            max_iter=self.max_iter, nb_random_init=self.nb_random_init, nb_target_classes=self.nb_target_classes
        )
        check.require(self.nb_target_classes >= 1, "nb_target_classes", "be >= 1", self.nb_target_classes)
        check_name("variant", self.variant, list(VARIANTS))
        loss = self.loss_type
        rule = f"be one of {LOSS_TYPES} or a function of scores and labels"
        known = loss is None or (loss in LOSS_TYPES if isinstance(loss, str) else callable(loss))
        check.require(known, "loss_type", rule, loss)
        both = self.targeted and loss == TARGETED_DLR
        check.require(not both, "loss_type", 'be other than "targeted_dlr" (it is for leaving y) if targeted', loss)
        super()._check_params()

    def _stages(self, inputs: Inputs) -> list[Stage]:
        restarts = max(1, self.nb_random_init)
        original = self.variant == "original"
        plan = AutoPlan(self.max_iter, restarts, self.nb_random_init > 0, inputs.config.early_stop, original)
        balls = Balls(inputs, self.norm, self.eps)
        if self.loss_type != TARGETED_DLR:
            loss = ART_LOSSES.get(self.loss_type, self.loss_type) if isinstance(self.loss_type, str) else self.loss_type
            return [auto_stage(balls, plan, loss)]
        rivals = inputs.clean(self.nb_target_classes).rivals[:, : self.nb_target_classes]
        return [auto_stage(balls, plan, towards=rivals[:, rank]) for rank in range(rivals.shape[1])]


def check_auto(norm: Any, eps: Any, eps_step: Any) -> None:
    """Check the ball, and ``eps_step`` although it is not used; it need not be of the same kind as ``eps``."""
    check.check_radius(norm, eps)
    number = isinstance(eps_step, (Real, np.ndarray)) and not isinstance(eps_step, bool)
    check.require(number and bool(np.all(np.asarray(eps_step) > 0)), "eps_step", "be > 0", eps_step)

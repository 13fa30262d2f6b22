"""Square attack under ART's interface: by scores alone, for models without gradients to follow."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.attacks.evasion.square_attack import SquareAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator
from torch import Tensor

from art_domainrand.attacks.blackbox.square_steps import FIRST_SHARE, SquarePlan
from art_domainrand.attacks.blackbox.unmasking import square_stage
from art_domainrand.attacks.engine.arguments import without_writer
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.runs import JudgedRun
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.core import checks as check
from art_domainrand.estimators.refused import check_estimator

OfArrays = Callable[[Any, Any], Any]
"""Scores (B, K), or images (B, ...), and one-hot labels (B, K), all arrays -> (B,)."""


class Square(GradientAttack, SquareAttack):
    """Square attack (Andriushchenko et al. 2020; in L1 Croce & Hein 2021), a drop-in for ART's, on the device.

    Random search by the model's scores: a window of the image is changed, and the change is kept if the margin is no
    worse for it. Nothing needs a gradient, so any classifier will do. Every image has windows of its own and leaves the
    batch once it is fooled; windows may lie at every edge, and no query is spent on a change that is none.

    :param estimator: Any classifier of ART, with gradients or without.
    :param norm: "inf", ``np.inf``, 1 or 2.
    :param adv_criterion: A function of scores (B, K) and one-hot labels (B, K), arrays, to which are successes (B,).
        None: who is not classified as ``y``.
    :param loss: A function of images (B, ...) and one-hot labels (B, K), arrays, to what is lowered, (B,). None: the
        margin by which ``y`` leads, which costs no prediction more.
    :param max_iter: Changes that are tried of every image, in each restart; the start is one query more.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param p_init: The share of pixels that the first windows cover, > 0 and <= 1.
    :param nb_restarts: How often to begin anew with who is not fooled.
    :param batch_size: Images at a time.
    :param verbose: Show a progress bar.
    :param targeted: Reach ``y`` instead of leaving it.
    :param seed: None takes the seed from ``np.random``. With an int every random number belongs to the seed and the
        image, so that an image has the same result in every call, batch size, order and company.
    :param randomization: A pipeline that the attack alone looks through.
    :param quantize: Try images on the 256 levels of ``clip_values`` alone.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    _estimator_requirements = (BaseEstimator, ClassifierMixin)

    norm: Any
    eps: Any
    loss: Any
    adv_criterion: Any
    targeted: bool

    @without_writer
    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        adv_criterion: OfArrays | None = None,
        loss: OfArrays | None = None,
        max_iter: int = 100,
        eps: Any = 0.3,
        p_init: float = FIRST_SHARE,
        nb_restarts: int = 1,
        batch_size: int = 128,
        verbose: bool = True,
        *,
        targeted: bool = False,
        seed: int | None = None,
        randomization: Any = None,
        quantize: bool = False,
    ) -> None:
        check_estimator(estimator, self._estimator_requirements)
        EvasionAttack.__init__(self, estimator=estimator)
        self._set(locals())

    def _check_params(self) -> None:
        check.check_radius(self.norm, self.eps)
        check.check_counts(max_iter=self.max_iter, nb_restarts=self.nb_restarts)
        check.require(self.nb_restarts >= 1, "nb_restarts", "be >= 1", self.nb_restarts)
        share = isinstance(self.p_init, (int, float)) and not isinstance(self.p_init, bool) and 0 < self.p_init <= 1
        check.require(share, "p_init", "be a number in (0, 1]", self.p_init)
        for name, given in (("adv_criterion", self.adv_criterion), ("loss", self.loss)):
            check.require(given is None or callable(given), name, "be None or a function", given)
        super()._check_params()

    def _stages(self, inputs: Inputs) -> list[Stage]:
        balls = Balls(inputs, self.norm, self.eps)
        runs = [SquarePlan(self.max_iter, float(self.p_init), run) for run in range(self.nb_restarts)]
        value = None if self.loss is None else lambda adv, ids: raised(self.loss, adv, inputs.y(ids))
        stages = [square_stage(balls, plan, JudgedRun, value=value) for plan in runs]
        # Who is fooled as it is stays as it is.
        stages.insert(0, replace(stages[0], name="as given", start=balls.start(at_random=False), max_iter=0))
        if self.adv_criterion is None:
            return stages
        own = partial(OwnCriterion, sign=inputs.sign, judge_by=self.adv_criterion)
        return [replace(stage, criterion=lambda ids: own(inputs.y(ids))) for stage in stages]


def raised(loss: OfArrays, adv: Tensor, y: Tensor) -> Tensor:
    """What rises where the user's ``loss`` falls, (A,), at the images ``adv`` (A, ...)."""
    found = np.asarray(loss(adv.cpu().numpy(), y.cpu().numpy()), dtype=np.float32)
    rule = f"return one value per sample, shape ({len(adv)},)"
    check.require(found.shape == (len(adv),), "loss", rule, check.Text(f"shape {found.shape}"))
    return -torch.from_numpy(found).to(adv.device)


@dataclass(frozen=True)
class OwnCriterion(Criterion):
    """A criterion whose successes a function of the user's names, whatever is predicted."""

    judge_by: OfArrays | None = None

    def take(self, index: Tensor) -> Criterion:
        return replace(self, y=self.y[index])

    def judge(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        fooled, strength = super().judge(scores)
        if self.judge_by is None:
            return fooled, strength
        found = np.asarray(self.judge_by(scores.cpu().numpy(), self.y.cpu().numpy()), dtype=bool)
        rule = f"return one value per sample, shape ({len(scores)},)"
        check.require(found.shape == (len(scores),), "adv_criterion", rule, check.Text(f"shape {found.shape}"))
        return torch.from_numpy(found).to(scores.device), strength

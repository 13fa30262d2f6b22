"""The strongest robustness test here: an ensemble of gradient attacks without parameters to tune."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.auto.auto_stage import AutoPlan, auto_stage
from art_domainrand.attacks.engine.arguments import without_writer
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.config import check_name
from art_domainrand.attacks.engine.gradient_attack import GradientAttack
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.runs import JudgedRun
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.attacks.engine.steps import PGDSteps, as_size
from art_domainrand.core import checks as check
from art_domainrand.estimators import check_class_gradients
from art_domainrand.estimators.refused import check_estimator

# Draws per gradient where the estimator is random and the user does not say.
RANDOM_EOT_SAMPLES = 16

# Samples whose margin no stage has lowered by even a tenth go on too: their gradients may be masked.
STUCK = 0.9

# The steps of PGD, as a share of eps, at first; a cosine lets them fall to nothing.
PGD_STEP = 0.5


# Per budget: (loss, steps, classes aimed at, reach). A stage runs on samples that are not fooled yet and, with a reach,
# whose margin is down to that share of what it is on the original. Steps are Auto-PGD's, but for FGSM, one of eps on
# the estimator's loss, and PGD, on the margin; every budget begins with both, so that it is never weaker than either.
ONE_STEP, MANY_STEPS = "FGSM", "PGD"
BUDGETS: dict[str, tuple[tuple[str, int, int, float], ...]] = {
    "quick": (
        (ONE_STEP, 1, 0, 1.0),
        (MANY_STEPS, 50, 0, 1.0),
        ("cross_entropy", 20, 0, 1.0),
        ("targeted_dlr", 30, 3, 0.2),
        ("cross_entropy", 50, 0, 0.1),
        ("targeted_dlr", 50, 4, 0.1),
    ),
    "standard": (
        (ONE_STEP, 1, 0, 1.0),
        (MANY_STEPS, 50, 0, 1.0),
        ("cross_entropy", 50, 0, 1.0),
        ("targeted_dlr", 50, 4, 0.3),
        ("margin", 100, 0, 0.12),
        ("dlr", 100, 0, 0.12),
        ("cross_entropy", 100, 0, 0.12),
        ("cross_entropy", 100, 0, 0.12),
        ("targeted_dlr", 100, 4, 0.12),
    ),
    "full": (
        (ONE_STEP, 1, 0, 1.0),
        (MANY_STEPS, 50, 0, 1.0),
        ("cross_entropy", 100, 0, 1.0),
        ("targeted_dlr", 100, 9, 1.0),
    ),
}


class StrongestAttack(GradientAttack, EvasionAttack):
    """A parameter-free ensemble in the spirit of AutoAttack's gradient part (Croce & Hein 2020), at less cost.

    FGSM and PGD on the margin clear the easy samples; Auto-PGD on cross-entropy and, towards one class after the other,
    on the targeted difference of logits ratio work on what is left. Later stages skip samples that earlier ones brought
    nowhere near the boundary although they did lower the margin, which is where the time of AutoAttack goes. A sample
    keeps its first success, or else the point of largest margin.

    :param estimator: Any classifier of ART with class gradients.
    :param norm: "inf", ``np.inf``, 1 or 2.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param targeted: Reach ``y`` instead of leaving it; then the stages are margin, cross-entropy and targeted DLR
        towards ``y``, with restarts in place of classes.
    :param batch_size: Images at a time.
    :param verbose: Show a progress bar.
    :param budget: "quick", "standard", or "full", which skips no sample and costs what AutoAttack's gradient part does.
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
        budget = BUDGETS[self.budget]
        samples = RANDOM_EOT_SAMPLES if inputs.random and inputs.config.eot_samples == 1 else inputs.config.eot_samples
        balls, most = Balls(inputs, self.norm, self.eps), max(classes for _, _, classes, _ in budget)
        return [stage for line in budget for stage in stages_of(balls, most, samples, *line)]


def stages_of(
    balls: Balls, most: int, samples: int, loss: str, max_iter: int, classes: int, reach: float
) -> list[Stage]:
    """The stages of one line of a budget: one, or one for each class aimed at, of which no line has more than ``most``.

    Gradients are means over ``samples`` draws.
    """
    inputs = balls.inputs
    worth, plan = within_reach(inputs, most, reach), AutoPlan(max_iter, samples=samples)
    if loss in (ONE_STEP, MANY_STEPS):
        return [replace(pgd_stage(balls, loss, max_iter), worthwhile=worth, samples=samples)]
    if not classes:
        return [auto_stage(balls, plan, loss, worthwhile=worth)]
    if inputs.config.targeted:  # the class is given: restarts take the place of classes
        return [auto_stage(balls, replace(plan, restarts=classes), "dlr", worthwhile=worth)]
    rivals = inputs.clean(most).rivals[:, :classes]
    return [auto_stage(balls, plan, towards=rivals[:, rank], worthwhile=worth) for rank in range(rivals.shape[1])]


def pgd_stage(balls: Balls, name: str, max_iter: int) -> Stage:
    """FGSM, or PGD on the margin with cosine steps, from the original."""
    inputs = balls.inputs
    share, over, loss = (1.0, None, inputs.named(None)) if name == ONE_STEP else (PGD_STEP, max_iter, "margin")
    return Stage(
        name=name,
        way=JudgedRun,
        around=balls.around,
        criterion=lambda which: inputs.criterion(which, loss),
        steps=lambda ball, mask, which: PGDSteps(ball, mask, as_size(ball.eps, ball.x) * share, cosine_over=over),
        start=balls.start(at_random=False),
        max_iter=max_iter,
        # FGSM moves everyone, also who is misclassified already: a trainer wants images that are attacked.
        early_stop=name != ONE_STEP,
    )


def within_reach(inputs: Inputs, most: int, reach: float) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Says which samples have lost enough of their clean margin to be worth more steps, or next to nothing of it."""
    if reach >= 1:
        return None

    def worthwhile(ids: Tensor, margin: Tensor) -> Tensor:
        before = inputs.clean(most).margin[ids]
        left = margin / torch.where(before < 0, before, -torch.inf)
        return (left <= reach) | (left >= STUCK)

    return worthwhile

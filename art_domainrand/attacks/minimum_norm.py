"""The closest adversarial examples under ART's interface: one run is the whole robustness curve."""

from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.config import ART_NUMPY_DTYPE
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.engine.arguments import without_writer
from art_domainrand.attacks.engine.config import check_name
from art_domainrand.attacks.engine.gradient_attack import GradientAttack, ordinary_autograd
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.search import search
from art_domainrand.attacks.engine.space import CountingGradients
from art_domainrand.attacks.minimum.closest import Closest
from art_domainrand.attacks.minimum.portfolio import NORMS_OF, Portfolio
from art_domainrand.attacks.minimum.problem import length
from art_domainrand.attacks.minimum.stage import MinimumStage
from art_domainrand.core import checks as check
from art_domainrand.estimators import check_class_gradients, is_device_estimator
from art_domainrand.estimators.refused import check_estimator

# Draws of a random estimator that a gradient is the mean of, unless the user says how many.
DRAWS_OF_RANDOM = 16


class MinimumNorm(GradientAttack, EvasionAttack):
    """The closest adversarial example of every image, and its distance: one run gives robust accuracy at every radius.

    There is no ``eps``. :meth:`find` returns the examples with their distances, :meth:`generate` the examples alone, as
    ART does. An image for which none is found, or that is misclassified as it is, comes back as it was.

    :param estimator: Any classifier of ART with class gradients.
    :param norm: 0 (how many entries of ``x`` differ), 1, 2, "inf" or ``np.inf``.
    :param max_iter: Points looked at of each image, each by a forward and a backward pass.
    :param targeted: Reach ``y`` instead of leaving it.
    :param batch_size: Images at a time. Sums are rounded otherwise in another size, which a search amplifies: distances
        from a small trained network differed by at most 0.14% in L-inf and 0.04% in L2 between batches of 1 and 24.
    :param verbose: Show a progress bar.
    :param algorithm: "auto", a portfolio: a search without a class in mind (in L0 by sigma-zero, in L1 and L2 by PDPGD
        and FMN too), searches below the best distance towards up to six classes, and a polish; or one of these alone:
        "fmn" (Pintor et al. 2021; every norm), "pdpgd" (Matyasko & Chau 2021; every norm), "ddn" (Rony et al. 2019;
        L2), "sigma_zero" (Cina et al. 2025; L0).
    :param minimal: Always True: ART's metrics set it, to ask for the closest example, which is what this attack finds.
    :param seed: None draws what is random from ``np.random``, as ART does. With an int every random number belongs to
        the seed and the image, so that an image has the same result in every call and order, and but for rounding
        in every batch size and company.
    :param eot_samples: Draws of a random estimator, or of ``randomization``, that a gradient is the mean of; one means
        16 where something is random.
    :param eot_draws: "fresh", "common", "antithetic" or "sobol" draws, as in :class:`~art_domainrand.PGD`.
    :param randomization: A pipeline that the attack alone looks through, in each step and when it judges success.
    :param quantize: Round to the 256 levels of ``clip_values``; what counts is the rounded image and its distance.
    :param memory_format: "channels_last" runs convolutions in that layout; None leaves the layout alone.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for the forward pass of the loop; None for full precision.
    :param compile: True, or the name of a ``torch.compile`` backend, to compile the model for the loop.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)

    norm: Any
    max_iter: int
    algorithm: str
    minimal: bool

    @without_writer
    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        max_iter: int = 1000,
        targeted: bool = False,
        batch_size: int = 32,
        verbose: bool = True,
        *,
        algorithm: str = "auto",
        minimal: bool = True,
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
        order = minimum_order(self.norm)
        check_name("algorithm", self.algorithm, list(NORMS_OF))
        rule = f"be one of {list(NORMS_OF[self.algorithm])} for the algorithm {self.algorithm!r}"
        check.require(order in NORMS_OF[self.algorithm], "norm", rule, self.norm)
        check.check_counts(max_iter=self.max_iter)
        check.check_flags(minimal=self.minimal)
        check.require(self.minimal, "minimal", "be True: this attack finds nothing but the closest example", False)
        check.require(self.max_iter >= 1, "max_iter", "be >= 1", self.max_iter)
        super()._check_params()

    def find(self, x: Any, y: Any = None, mask: Any = None) -> Closest:
        """The closest adversarial examples and their distances.

        :param x: Images (N, ...) as a NumPy array or tensor, in the units of the estimator's ``clip_values``.
        :param y: Class indices (N,) or (N, 1), one-hot or soft labels (N, K); the labels to leave, or with ``targeted``
            to reach. None: the estimator's own predictions (not for targeted attacks).
        :param mask: Array or tensor that broadcasts to ``x``; pixels where it is zero are left alone.
        :return: Examples as ``x`` is, array or tensor; distances and passes.
        :raises ValueError: as :meth:`generate` does.
        """
        as_tensor = isinstance(x, Tensor)
        images = check.images(x, ART_NUMPY_DTYPE)
        if as_tensor and is_device_estimator(self.estimator):
            images = images.to(self.estimator.device)
        with ordinary_autograd(), self._opened(images, y, mask) as (inputs, stages):
            counting = CountingGradients(inputs.source)
            inputs.source = counting
            best = search(inputs, stages)
        change = best.adv.double() - images.double()
        distances = length(change, minimum_order(self.norm)).cpu().numpy()
        found = best.fooled.cpu().numpy()
        examples = best.adv if as_tensor else best.adv.cpu().numpy()
        return Closest(
            examples,
            np.where(found, distances, np.inf),
            minimum_order(self.norm),
            counting.forwards,
            counting.backwards,
        )

    def _stages(self, inputs: Inputs) -> list[MinimumStage]:  # type: ignore[override]
        check_class_gradients(self.estimator)
        order = minimum_order(self.norm)
        rule = "be given by the estimator for norm 0: a single pixel may do anything without them"
        check.require(order > 0 or inputs.low is not None, "clip_values", rule, None)
        samples = inputs.config.eot_samples
        samples = DRAWS_OF_RANDOM if inputs.random and samples == 1 else samples
        return Portfolio(inputs, order, samples).stages(self.algorithm, self.max_iter)


def minimum_order(norm: Any) -> float:
    """The norm as a float: 0, 1, 2 or inf; ValueError otherwise."""
    if isinstance(norm, (int, float, np.integer, np.floating)) and not isinstance(norm, bool) and norm == 0:
        return 0.0
    rule = 'be "inf", np.inf, 0, 1 or 2'
    order = check.norm_order(norm, rule)
    check.require(order in (1, 2, np.inf), "norm", rule, norm)
    return order

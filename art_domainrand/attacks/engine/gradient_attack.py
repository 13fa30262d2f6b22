"""What all gradient attacks share: ART's interface around a search, on the estimator's device."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from art.config import ART_NUMPY_DTYPE
from art.estimators.regression.regressor import RegressorMixin
from torch import Tensor

from art_domainrand.attacks.engine.arguments import Parameters
from art_domainrand.attacks.engine.config import Config
from art_domainrand.attacks.engine.inputs import Inputs, prepare, with_predictions
from art_domainrand.attacks.engine.search import search
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.core import checks as check
from art_domainrand.estimators import is_device_estimator, open_estimator, predict
from art_domainrand.estimators.explaining import explained
from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization.core.pipeline import pipeline_from


class GradientAttack(Parameters, ABC):
    """Mixin over ART's attacks: ``generate`` and ``perturb`` around the stages of a search.

    The parameters are ART's attributes and are read anew at every call, since ART's trainers write to them.
    """

    estimator: Any
    # Whether more than two classes that tie for the prediction share the label, as in ART's FGM, or all have it.
    _shares_ties: ClassVar[bool] = False

    def _check_params(self) -> None:
        super()._check_params()
        randomization = getattr(self, "randomization", None)
        if randomization is not None:
            pipeline_from("randomization", randomization)

    @abstractmethod
    def _stages(self, inputs: Inputs) -> list[Stage]:
        """The stages that the attack is made of, for the inputs of this call."""

    def generate(self, x: Any, y: Any = None, mask: Any = None, **kwargs: Any) -> check.Array:
        """Generate adversarial examples.

        :param x: Images (N, ...) as a NumPy array or tensor, in the units of the estimator's ``clip_values``.
        :param y: Class indices (N,) or (N, 1), one-hot or soft labels (N, K); the labels to leave, or with ``targeted``
            to reach. None: the estimator's own predictions (not for targeted attacks).
        :param mask: Array or tensor that broadcasts to ``x``; pixels where it is zero are left alone.
        :param kwargs: What the ``generate`` of other attacks of ART takes (``x_init``, ``resume`` ...); without effect
            here, which a RuntimeWarning says once.
        :return: Adversarial examples (N, ...) as a float32 array (ART's ``ART_NUMPY_DTYPE``).
        :raises ValueError: for NaN pixels, 8-bit pixels where ``clip_values`` are not, invalid labels, or shapes that
            do not fit.

        Pixels a little outside ``clip_values`` are taken as ART takes them, with a RuntimeWarning, said once: they come
        as near to the range as ``eps`` allows.
        """
        self._take_keywords(kwargs, ("x", "y", "mask"))
        if isinstance(x, np.ndarray) and x.dtype == object:
            return self._generate_ragged(x, y, mask)
        with ordinary_autograd(), self._opened(check.images(x, ART_NUMPY_DTYPE), y, mask) as (inputs, stages):
            return search(inputs, stages).adv.cpu().numpy()

    def perturb(self, x: Tensor, y: Any = None, mask: Any = None) -> Tensor:
        """:meth:`generate` for tensors: takes and returns tensors on the estimator's device, with no copy to the host.

        :param x: Images (N, ...) as a tensor.
        :param y: As in :meth:`generate`; tensors too.
        :param mask: As in :meth:`generate`; tensors too.
        :return: Adversarial examples (N, ...), float32.

        Only single numbers are read back, for the checks before and after the loop.
        Estimators that are not PyTorch throughout do their part in NumPy.
        """
        check.require(isinstance(x, Tensor), "x", "be a torch.Tensor", check.Text(type(x).__name__), TypeError)
        device = self.estimator.device if is_device_estimator(self.estimator) else x.device
        with ordinary_autograd():
            images = check.images(x, ART_NUMPY_DTYPE).to(device)
            with self._opened(images, y, mask) as (inputs, stages):
                return search(inputs, stages).adv

    def _generate_ragged(self, x: Any, y: Any, mask: Any) -> check.Array:
        raise TypeError("x must be one array of images of equal shape, got an object array")

    @contextmanager
    def _opened(self, x: Tensor, y: Any, mask: Any) -> Iterator[tuple[Inputs, list[Stage]]]:
        """The inputs of a call, checked, and its stages; inside, the estimator is open."""
        self._check_params()  # ART's trainers, and users, assign to attributes
        config = Config.of(self)
        summed = config.seed is not None  # then a result is the image's own, whatever else is in its batch
        opened = open_estimator(self.estimator, config.memory_format, config.autocast, self.compiler(), summed=summed)
        with opened as source:
            inputs = prepare(self.estimator, source, x, y, mask, config, self._view(config))
            self._warn_of_pixels(inputs.outside)
            self._warn_of_radius(x.shape[1:].numel())
            rule = "be False for pixels outside clip_values, which are not those of an 8-bit image"
            check.require(not (inputs.outside and config.quantize), "quantize", rule, config.quantize)
            if not len(inputs):
                yield inputs, []
                return
            with explained(self.estimator, x):
                if y is None and inputs.with_classes:
                    inputs = with_predictions(inputs, shared=self._shares_ties and self.estimator.nb_classes > 2)
                elif y is None:
                    inputs.labels = predict(self.estimator, x.cpu().numpy(), batch_size=config.batch_size)
                    warn_of_own_predictions(self.estimator, getattr(self, "num_random_init", 0))
                yield inputs, self._stages(inputs)
        if self.summary_writer is not None:
            self.summary_writer.reset()

    def _view(self, config: Config) -> DomainRandomization | None:
        """What the attack alone looks through, on images of the estimator."""
        if config.randomization is None:
            return None
        rule = "be None for an estimator without clip_values, which say what range of pixels it works on"
        check.require(self.estimator.clip_values is not None, "randomization", rule, config.randomization)
        # Its seed is never used: the attack draws from its own keys.
        return DomainRandomization.for_estimator(self.estimator, config.randomization, seed=0)

    def _arts_way(self, inputs: Inputs, *, compares: bool) -> bool:
        """Whether nothing is asked for beyond ART's own algorithm, with its one look at each result.

        Where predictions vary and results are compared, one look would count luck: then the search looks several times.

        :raises ValueError: for options that the estimator or a summary writer rules out.
        """
        more = inputs.config.beyond_art(own_cross_entropy=inputs.named(None) is not None)
        asked = check.Text(", ".join(more))
        rule = "be left at their defaults without class scores"
        check.require(inputs.with_classes or not more, "options", rule, asked)
        check.require(not (self.summary_writer and more), "summary_writer", f"be False with {asked}", True)
        plain = inputs.with_classes and not self.summary_writer and not more
        luck = plain and compares and inputs.random
        # With a seed an image meets the same draws in any company; ART's way leaves preprocessors their own.
        keyed = plain and inputs.config.seed is not None and bool(inputs.source.random_preprocessors)
        return not (more or luck or keyed)

    def _observer(self, inputs: Inputs) -> Any:
        """What hands every step to ART's summary writer, its gradient scaled to that of the estimator's loss."""
        if self.summary_writer is None:
            return None

        def update(i: int, gradient: Tensor, adv: Tensor, which: Any) -> None:
            y = inputs.y(which)
            first = which.start if isinstance(which, slice) else int(which[0])
            self.summary_writer.update(
                batch_id=first // inputs.config.batch_size,
                global_step=i,
                grad=gradient.cpu().numpy() * (1 / len(adv) if inputs.source.summed else 1.0),
                patch=None,
                estimator=self.estimator,
                x=adv.cpu().numpy(),
                y=y.cpu().numpy() if isinstance(y, Tensor) else y,
                targeted=inputs.config.targeted,
            )

        return update


@contextmanager
def ordinary_autograd() -> Iterator[None]:
    """Let gradients flow inside, whatever mode the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def warn_of_own_predictions(estimator: Any, num_random_init: int) -> None:
    """Say that a regressor's loss at its own predictions is at its least, with no gradient to start from."""
    if isinstance(estimator, RegressorMixin) and not num_random_init:
        warnings.warn(
            "y is None, and at its own predictions a regressor's loss has no gradient: give y, or num_random_init >= 1",
            RuntimeWarning,
            stacklevel=5,
        )

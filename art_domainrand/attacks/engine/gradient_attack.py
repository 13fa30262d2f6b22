"""What all gradient attacks share: ART's interface around a search, on the estimator's device."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from art.config import ART_NUMPY_DTYPE
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.regression.regressor import RegressorMixin
from torch import Tensor

from art_domainrand.attacks.engine.job import Job
from art_domainrand.attacks.engine.lenient import Lenient
from art_domainrand.attacks.engine.search import Results, Stage, run_stage
from art_domainrand.attacks.options import DEFAULTS, check_options, with_defaults
from art_domainrand.attacks.settings import Settings
from art_domainrand.core import checks as check
from art_domainrand.estimators import Gradients, borrow, is_device_estimator, predict
from art_domainrand.estimators.explaining import explained

SEARCH_PARAMS = list(DEFAULTS)

# Parameters that ART's tools set whatever attack they are given, and what to give them instead.
INSTEAD = {
    "max_iter": " (ART's OAAT trainer sets it, use PGD or AutoPGD there)",
    "eps_step": " (ART's OAAT trainer sets it, use PGD or AutoPGD there)",
    "minimal": " (ART's metrics set it by name, use FGSM there, or adversarial_accuracy(attack_crafter=...))",
}


class GradientAttack(Lenient, Settings, ABC):
    """Mixin over ART's attacks: ``generate`` and ``perturb`` around the stages of a search.

    The parameters are ART's attributes and are read anew at every call, since ART's trainers write to them.
    """

    estimator: Any
    norm: Any
    targeted: bool
    num_random_init: int
    batch_size: int
    summary_writer: Any
    seed: int | None
    memory_format: str | None
    autocast: torch.dtype | None
    compile: bool | str
    eot_samples: int
    eot_draws: str
    randomization: Any
    loss: Any
    early_stop: bool
    keep_best: bool
    quantize: bool
    attack_params: ClassVar[list[str]]
    option_names: ClassVar[list[str]] = SEARCH_PARAMS
    # Which of several calls this is, where they shall not meet the same random numbers: a trainer counts its steps.
    _round: int = 0

    def _set_options(self, options: dict[str, Any]) -> None:
        """Take the keyword-only options; ART's own constructors check them through ``_check_params``."""
        for name, value in (DEFAULTS | with_defaults(options, self.option_names, self.attack_params)).items():
            setattr(self, name, value)
        check_options(self._options())

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SEARCH_PARAMS}

    @abstractmethod
    def _check_params(self) -> None:
        """Check the attributes."""

    @abstractmethod
    def _radius_and_step(self) -> tuple[Any, Any]:
        """eps and the step size of this call, as the user gave them."""

    @abstractmethod
    def _restarts(self) -> int:
        """How many random starts are compared; 1 for a single run."""

    @abstractmethod
    def _stages(self, job: Job) -> list[Stage]:
        """The searches, one after the other, that the attack is made of."""

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
        with ordinary_autograd():
            images = check.images(x, ART_NUMPY_DTYPE)
            out = torch.empty(images.shape, dtype=images.dtype)
            self._attack(images, y, mask, out)
        return out.numpy()

    def perturb(self, x: Tensor, y: Any = None, mask: Any = None) -> Tensor:
        """:meth:`generate` for tensors: takes and returns tensors on the estimator's device, with no copy to the host.

        Labels and mask may be tensors too. Only single numbers are read back, for the checks before and after the loop.
        Estimators that are not PyTorch throughout do their part in NumPy.
        """
        check.require(isinstance(x, Tensor), "x", "be a torch.Tensor", check.Said(type(x).__name__), TypeError)
        device = self.estimator.device if is_device_estimator(self.estimator) else x.device
        with ordinary_autograd():
            images = check.images(x, ART_NUMPY_DTYPE).to(device)
            out = torch.empty_like(images)
            self._attack(images, y, mask, out)
        return out

    def set_params(self, **kwargs: Any) -> None:
        """Set parameters by name; if one of them is refused, none is set."""
        for name in kwargs:
            known = name in self.attack_params
            check.require(known, "parameter", f"be among those of {type(self).__name__}{INSTEAD.get(name, '')}", name)
        super().set_params(**kwargs)

    def _generate_ragged(self, x: Any, y: Any, mask: Any) -> check.Array:
        raise TypeError("x must be one array of images of equal shape, got an object array")

    def _attack(self, x: Tensor, y: Any, mask: Any, out: Tensor) -> None:
        """Check the inputs, attack ``x`` and write the best result per sample into ``out``."""
        self._check_params()  # ART's trainers, and users, assign to attributes
        low, high = check.clip_bounds(self.estimator.clip_values, tuple(x.shape[1:]), x.device)
        check.check_layout(x, self.estimator)
        self._take_pixels(x, low, high)
        rule = "be False for pixels outside clip_values, which are not those of an 8-bit image"
        check.require(not (self._outside and self.quantize), "quantize", rule, self.quantize)
        mask = check.mask_for(mask, x)
        is_classifier = isinstance(self.estimator, ClassifierMixin)
        check.require(y is not None or not self.targeted, "y", "be given for a targeted attack", None)
        if is_classifier and y is not None:
            y = check.class_labels(y, len(x), self.estimator.nb_classes)
        elif y is not None:
            check.require(len(y) == len(x), "y", f"hold one target for each of the {len(x)} samples", len(y))
        if len(x) == 0:
            return
        private = self.seed is not None  # then a result is the image's own, whatever else is in its batch
        opened = borrow(self.estimator, self.memory_format, self.autocast, self.compiler(), summed=private)
        with explained(self.estimator, x), opened as source:
            if y is None and is_classifier:
                y = self._predicted_labels(source, x)
            elif y is None:
                y = predict(self.estimator, x.cpu().numpy(), batch_size=self.batch_size)
                warn_of_own_predictions(self.estimator, self.num_random_init)
            tainted = self._carry_out(source, x, y, mask, (low, high), out)
        report_tainted(tainted)
        if self.summary_writer is not None:
            self.summary_writer.reset()

    def _batches(self, n: int) -> list[slice]:
        return [slice(i, min(i + self.batch_size, n)) for i in range(0, n, self.batch_size)]

    def _carry_out(
        self,
        source: Gradients,
        x: Tensor,
        y: Tensor,
        mask: Tensor | None,
        box: tuple[Tensor | None, Tensor | None],
        out: Tensor,
    ) -> Tensor:
        """Run the stages on checked inputs; return which samples (N,) met a non-finite gradient."""
        with_classes = isinstance(self.estimator, ClassifierMixin)
        check.require(with_classes, "options", "be left at their defaults without class scores", self._asked())
        check.require(not self.summary_writer, "summary_writer", f"be False with {self._asked()}", True)
        radius, step = self._radius_and_step()
        job = Job.of(self, source, x, y, mask, box, radius, step)
        balls = job.problem.ball
        # A point from outside the box may move on its way out, so what a step saw of it does not hold for what is kept.
        trusted = job.problem.trusted and not self._outside
        problem = replace(job.problem, ball=lambda ids: self._reaching(balls(ids)), trusted=trusted)
        job = self._prepared(replace(job, problem=problem))
        results = Results.into(out, source.device)
        for number, stage in enumerate(self._stages(job)):
            run_stage(job.problem, replace(stage, number=number), results)
        return results.tainted

    def _prepared(self, job: Job) -> Job:
        """What the attack changes about a job before its stages run."""
        return job

    def _asked(self) -> check.Said:
        known = DEFAULTS | {"step_schedule": "constant"}
        return check.Said(", ".join(name for name in known if getattr(self, name, known[name]) != known[name]))

    def _predicted_labels(self, source: Gradients, x: Tensor) -> Tensor:
        """One-hot predictions (N, K); equal maxima share the label, as in ART."""
        scores = torch.cat([source.scores(x[rows].to(source.device)) for rows in self._batches(len(x))])
        return (scores == scores.amax(1, keepdim=True)).float()


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
            stacklevel=4,
        )


def report_tainted(tainted: Tensor) -> None:
    """Warn with the number of samples whose gradient was not finite."""
    count = int(tainted.sum())
    if count:
        warnings.warn(
            f"{count} of {len(tainted)} samples met a non-finite loss gradient; NaN entries counted as 0 there, so "
            "surviving the attack does not show that these samples are robust",
            RuntimeWarning,
            stacklevel=4,
        )

"""AdvGAN under ART's interface: a network is trained once, then every attack is one pass of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.config import ART_NUMPY_DTYPE
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.engine.arguments import without_writer
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.gradient_attack import GradientAttack, ordinary_autograd
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.generative.perturbed import OnePassStage, Perturbing, TrainingBatch
from art_domainrand.core import checks as check
from art_domainrand.core.arguments import argument_names, suggesting_names
from art_domainrand.core.random import checked_seed
from art_domainrand.estimators import predict
from art_domainrand.estimators.refused import check_estimator
from art_domainrand.generative.files import network_of_file, read_network, weights_digest, whole_file_of, write_network
from art_domainrand.generative.perturbing import PerturbationNetwork, PerturbationShape, PerturbationTraining
from art_domainrand.generative.record import SAME_FROM, FitRecord, sign_of_few, sign_of_victory, similarity

LOOKED_AT = 256
"""Of so many images the perturbations are compared."""


class PerturbationGenerator(GradientAttack, EvasionAttack):
    """AdvGAN (Xiao et al., IJCAI 2018): :meth:`fit` trains a generator, then ``generate`` is one pass of it.

    A residual generator makes the perturbation of an image; a discriminator learns to tell perturbed images from real
    ones (least squares); the classifier's margin says whether they fool (Carlini and Wagner's bounded objective). What
    comes out is projected onto the ball, so that eps holds exactly. An attack costs no gradient and no prediction, but
    is weaker than PGD, which looks at the model for every image: to judge robustness use :class:`~art_domainrand.PGD`
    or :class:`~art_domainrand.StrongestAttack`.

    With ``targeted`` one generator reaches every class: it is told which (the paper trains one for each).

    :param estimator: Any classifier of ART with class gradients, whose images are (N, C, H, W).
    :param norm: "inf", ``np.inf``, 1 or 2.
    :param eps: Radius of the ball in units of ``clip_values``. In L-inf a fitted generator follows another eps in
        proportion.
    :param targeted: Reach ``y`` instead of leaving it.
    :param batch_size: Images at a time, in :meth:`fit` too.
    :param verbose: Show a progress bar in :meth:`fit`.
    :param epochs: Passes of :meth:`fit` over its images.
    :param learning_rate: Adam's, for generator and discriminator.
    :param gan_weight: Weight of the discriminator's judgement beside that of the margin; 0 trains without one.
    :param hinge_weight: Weight of the hinge on the size of the perturbation before it is projected.
    :param hinge: The size, in ``norm``, from which the hinge is felt; None for ``eps``, beyond which L-inf's never are.
    :param confidence: The margin of scores by which a success must lead until its loss has no gradient.
    :param width: Channels of the generator, >= 2.
    :param blocks: Its residual blocks.
    :param seed: Decides first weights and orders of :meth:`fit`; None takes a seed from ``np.random``. ``generate``
        draws nothing.
    :param eot_samples: In :meth:`fit`, average the gradient over this many draws of a random estimator, or of
        ``randomization``.
    :param randomization: A pipeline that the classifier is looked at through in :meth:`fit` alone.
    :param autocast: ``torch.bfloat16`` or ``torch.float16`` for the classifier's forward pass in :meth:`fit`.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ClassifierMixin)

    norm: Any
    eps: Any
    targeted: bool
    verbose: bool
    # Trainers move the step size with eps, and "fast" takes over how the model is run: nothing steps here.
    eps_step: ClassVar[float] = 0.0
    memory_format: ClassVar[None] = None
    compile: ClassVar[bool] = False
    network: PerturbationNetwork | None = None
    """What makes the perturbations; None before :meth:`fit`."""
    record: FitRecord | None = None
    """What :meth:`fit` was like, epoch by epoch; None before it, and after :meth:`load`."""
    fitted_to: str | None = None
    """A hash of the weights that :meth:`fit` looked at; None where none are PyTorch's, and after :meth:`load`."""

    @without_writer
    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        eps: float = 0.3,
        targeted: bool = False,
        batch_size: int = 128,
        verbose: bool = True,
        *,
        epochs: int = 30,
        learning_rate: float = 2e-3,
        gan_weight: float = 1.0,
        hinge_weight: float = 1.0,
        hinge: float | None = None,
        confidence: float = 5.0,
        width: int = 24,
        blocks: int = 1,
        seed: int | None = None,
        eot_samples: int = 1,
        randomization: Any = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        check_estimator(estimator, self._estimator_requirements)
        EvasionAttack.__init__(self, estimator=estimator)
        self._set(locals())

    def _check_params(self) -> None:
        check.check_radius(self.norm, self.eps)
        several = isinstance(self.eps, np.ndarray)
        check.require(not several, "eps", "be one number for all images", check.Text(f"shape {np.shape(self.eps)}"))
        first = getattr(self.estimator, "channels_first", True) is not False
        check.require(first, "estimator", "take images (N, C, H, W)", check.Text("channels_first=False"))
        check.check_counts(epochs=self.epochs, width=self.width, blocks=self.blocks)
        for name, least in (("epochs", 1), ("width", 2)):
            check.require(getattr(self, name) >= least, name, f"be >= {least}", getattr(self, name))
        for name in ("learning_rate", "gan_weight", "hinge_weight", "confidence"):
            check_weight(name, getattr(self, name))
        if self.hinge is not None:
            check_weight("hinge", self.hinge)
        super()._check_params()

    def fit(self, x: Any, y: Any = None) -> Self:
        """Train the generator, anew, on images like those to be attacked; the estimator is left as found.

        :param x: Images (N, C, H, W) as an array or tensor, in the units of the estimator's ``clip_values``.
        :param y: Their labels, in any form that :meth:`generate` takes, also with ``targeted``, where targets are
            drawn among the other classes. None: the estimator's predictions.
        :return: The attack itself.
        :raises ValueError: for images of another shape, invalid labels or pixels.

        Warns (RuntimeWarning) if there are too few images, if the discriminator wins, and if all perturbations are
        the same.
        """
        images = check.images(x, ART_NUMPY_DTYPE)
        check.require(images.dim() == 4, "x", "be images (N, C, H, W)", check.Text(f"shape {tuple(images.shape)}"))
        check.require(len(images) > 1, "x", "hold at least two images to learn from", check.Text(f"{len(images)}"))
        if y is None and self.targeted:
            y = predict(self.estimator, images.cpu().numpy(), batch_size=self.batch_size).argmax(1)
        seed = checked_seed(np.random.randint(2**31) if self.seed is None else self.seed)  # noqa: NPY002
        with ordinary_autograd(), self._opened(images, y, None) as (inputs, _):
            self._train(inputs, seed)
            signs = [*sign_of_few("PerturbationGenerator", x=len(images)), *self._signs(inputs)]
        for sign in signs:
            warnings.warn(sign, RuntimeWarning, stacklevel=3)  # at the call, beyond what checks names
        return self

    def _train(self, inputs: Inputs, seed: int) -> None:
        perturbing = self._perturbing(inputs)
        shape = PerturbationShape.of_images(inputs.x, inputs.classes if self.targeted else 0, self.width, self.blocks)
        training = PerturbationTraining(
            self.epochs,
            self.batch_size,
            self.learning_rate,
            self.gan_weight,
            self.hinge_weight,
            seed,
            self.verbose,
        )
        self.network, self.record = training.run(
            shape,
            len(inputs),
            lambda rows, epoch: TrainingBatch(perturbing, self, rows, epoch, seed),
            inputs.device,
        )
        self.fitted_to = weights_of(self.estimator)

    def _signs(self, inputs: Inputs) -> list[str]:
        """What to warn of, now that the generator is fitted."""
        assert self.network is not None
        assert self.record is not None
        advice = "lower learning_rate or raise gan_weight, or set it to 0 if perturbations may be seen"
        signs = sign_of_victory(self.record, "PerturbationGenerator", advice) if self.gan_weight else []
        which = slice(0, min(len(inputs), LOOKED_AT))
        alike = similarity(self._perturbing(inputs).made(self.network, which) - inputs.images(which))
        if alike >= SAME_FROM:
            signs.append(
                f"PerturbationGenerator: mode collapse, perturbations of different images are nearly equal (mean "
                f"cosine {alike:.2f}); more epochs or width may help, unless one perturbation does for all images"
            )
        return signs

    def generate(self, x: Any, y: Any = None, mask: Any = None, **kwargs: Any) -> check.Array:
        """Perturb images, in one pass of the generator for each ``batch_size`` of them.

        :param x: Images (N, C, H, W) as an array or tensor, of as many channels as those of :meth:`fit`.
        :param y: With ``targeted`` the classes to reach; else without effect.
        :param mask: Array or tensor that broadcasts to ``x``; pixels where it is zero are left alone.
        :param kwargs: As in the other attacks; without effect.
        :return: Adversarial examples (N, ...) as a float32 array.
        :raises ValueError: before :meth:`fit` or :meth:`load`, and for images that are not like those of :meth:`fit`.
        """
        return super().generate(x, self._labels(x, y), mask, **kwargs)

    def perturb(self, x: Tensor, y: Any = None, mask: Any = None) -> Tensor:
        return super().perturb(x, self._labels(x, y), mask)

    def _labels(self, x: Any, y: Any) -> Any:
        """``y``; or any where none are given and none count, so that the estimator need not predict."""
        check.require(self.network is not None, "attack", "be fitted first, by its method fit, or loaded", None)
        return np.zeros(len(x), dtype=np.int64) if y is None and not self.targeted else y

    def _stages(self, inputs: Inputs) -> list[Any]:
        network = self.network
        if network is None:  # about to be fitted
            return []
        fits = inputs.x.dim() == 4 and inputs.x.shape[1] == network.shape.channels
        rule = f"be images (N, {network.shape.channels}, H, W), as those that were fitted to"
        check.require(fits, "x", rule, check.Text(f"shape {tuple(inputs.x.shape)}"))
        told = bool(network.shape.classes)
        check.require(told == self.targeted, "targeted", f"be {told}, as when the generator was fitted", self.targeted)
        network.to(inputs.device)
        perturbing = self._perturbing(inputs)
        return [OnePassStage(type(self).__name__, lambda which: perturbing.made(network, which))]

    def _perturbing(self, inputs: Inputs) -> Perturbing:
        return Perturbing(inputs, Balls(inputs, self.norm, self.eps))

    @property
    def digest(self) -> str | None:
        """A hash of the weights, by which a run that goes on knows them from others; None before :meth:`fit`."""
        return None if self.network is None else weights_digest(self.network)

    @suggesting_names
    def against(self, estimator: Any, norm: Any = None, eps: Any = None) -> PerturbationGenerator:
        """The same generator as an attack on another estimator: how far its perturbations carry over.

        Evaluations take it as ``Attacked(attack.against, eps=...)``, on every model.

        :param estimator: The other estimator, of images of as many channels in the same range.
        :param norm: Another norm; None for this attack's.
        :param eps: Another radius; None for this attack's.
        """
        names = [name for name in self.attack_params if name not in ("norm", "eps")]
        other = type(self)(
            estimator,
            self.norm if norm is None else norm,
            self.eps if eps is None else eps,
            **{name: getattr(self, name) for name in names},
        )
        other.network, other.record, other.fitted_to = self.network, self.record, self.fitted_to
        return other

    def save(self, path: str | Path) -> None:
        """Write the fitted generator to a file of weights, which :meth:`load` reads.

        :param path: The file; it is whole or not there.
        :raises ValueError: before :meth:`fit`.
        """
        network = self.network
        check.require(network is not None, "attack", "be fitted first, by its method fit", None)
        assert network is not None
        options = {"norm": check.norm_order(self.norm), "eps": float(self.eps), "targeted": bool(self.targeted)}
        state = {"shape": vars(network.shape), "options": options, "weights": network.state_dict()}
        write_network(path, type(self).__name__, state)

    @classmethod
    @suggesting_names
    def load(cls, path: str | Path, estimator: Any) -> Self:
        """The attack of a saved generator; no pickle is run.

        :param path: The file that :meth:`save` has written.
        :param estimator: What is attacked.
        :raises ValueError: for a file of anything else, or a broken one.
        """
        state = read_network(path, cls.__name__)
        with whole_file_of(cls.__name__, path):
            shape = PerturbationShape(**state["shape"])
            network = network_of_file(lambda: PerturbationNetwork(shape), shape.blocks, state["weights"])
            options = {**state["options"], "width": network.shape.width, "blocks": network.shape.blocks}
        attack = cls(estimator, **options)
        attack.network = network.eval().requires_grad_(False)
        return attack


_OF_INIT = dict.fromkeys(argument_names(PerturbationGenerator), "PerturbationGenerator(...) takes it")
PerturbationGenerator.fit = suggesting_names(PerturbationGenerator.fit, _OF_INIT)  # type: ignore[method-assign]


def weights_of(estimator: Any) -> str | None:
    """A hash of an estimator's weights, by which a wrapper or a copy of the same network is known; None without any."""
    model = getattr(estimator, "model", None)
    return weights_digest(model) if isinstance(model, torch.nn.Module) else None


def check_weight(name: str, value: Any) -> None:
    """Check a finite number >= 0."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    check.require(number and 0 <= value < np.inf, name, "be a finite number >= 0", value)

"""Attacks that choose the domain an image is shown in, not its pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator
from torch import Tensor

from art_domainrand.attacks.engine.arguments import Parameters
from art_domainrand.attacks.engine.draw_stage import DrawStage, WorstDraws, check_domain, judged, plan_of
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.findings import Findings, find
from art_domainrand.core import checks as check
from art_domainrand.core.arguments import suggesting_names
from art_domainrand.estimators.refused import check_estimator
from art_domainrand.randomization.core.pipeline import Item, Pipeline
from art_domainrand.randomization.transforms.geometry import Rotation, Translation


class DomainAttack(Parameters, EvasionAttack):
    """The adversary chooses the domain, not the pixels: the draw of ``pipeline`` under which each image fares worst.

    The worst of ``k`` random draws starts a projected ascent on the draw's coordinates u inside the unit cube: sign
    steps, half as wide as the ranges at first, with Auto-PGD's momentum and halving (Croce & Hein 2020), from the two
    worst draws of every sample. What has no slope, such as a choice, a gate, a selector, a threshold, a transform that
    is not differentiable or the seed of a noise, is drawn anew where the sample stood worst so far, between the steps.
    The worst point met is returned: a success if there was one, then by margin.

    ``norm`` and ``eps`` do not apply: the ranges of the pipeline are the budget, and ``fraction`` scales it. Inside
    ART's ``AutoAttack``, which discards what lies outside its own ``eps``, give that one the width of ``clip_values``.

    :param estimator: Any ART classifier with ``clip_values``. Without loss gradients the search goes by trial alone.
    :param pipeline: A :class:`Pipeline`, or what one is made from.
    :param batch_size: Images at a time; results do not depend on it.
    :param targeted: Reach ``y`` instead of leaving it.
    :param verbose: Show a progress bar.
    :param fraction: How far into the ranges to go, in (0, 1]: every coordinate stays within 0.5 +- fraction / 2.
    :param evaluations: Model evaluations per image, spent exactly unless it stops early: a forward pass counts one and
        a backward pass counts one, so a step of ascent costs two, and a random draw or a trial one.
    :param k: How many of them go to random draws first; None: a fifth.
    :param points: (k, P) points of the unit cube to start from in place of random ones, whatever the ``fraction``.
    :param loss: What the steps ascend: "margin", "cross_entropy", "dlr", a function of scores (B, K) and class indices
        (B,) to (B,), or None for the estimator's own loss.
    :param early_stop: Let an image go once it is fooled.
    :param eot_samples: How many draws of a random estimator every evaluation averages over.
    :param seed: None takes one number from ``np.random`` per call; with an int every random number belongs to the seed
        and the image.
    :param memory_format: As in :class:`~art_domainrand.PGD`.
    :param autocast: As there.
    :param compile: As there.
    :raises ValueError, TypeError: naming the argument, the rule and the value.

    Where the estimator is random, what is returned must fool it under ten fresh draws to count.
    """

    _estimator_requirements: ClassVar[tuple[Any, ...]] = (BaseEstimator, ClassifierMixin)
    reach = ("fraction",)

    pipeline: Pipeline
    evaluations: int
    k: int | None
    points: Any

    @suggesting_names
    def __init__(
        self,
        estimator: Any,
        pipeline: Item,
        batch_size: int = 32,
        targeted: bool = False,
        verbose: bool = True,
        *,
        fraction: float = 1.0,
        evaluations: int = 100,
        k: int | None = None,
        points: Any = None,
        loss: str | Callable[[Tensor, Tensor], Tensor] | None = "margin",
        early_stop: bool = False,
        eot_samples: int = 1,
        seed: int | None = None,
        memory_format: str | None = None,
        autocast: torch.dtype | None = None,
        compile: bool | str = False,
    ) -> None:
        check_estimator(estimator, self._estimator_requirements)
        super().__init__(estimator=estimator)
        self._set(locals())

    def _check_params(self) -> None:
        check_domain(self)
        super()._check_params()

    def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """The images under the worst domain found, (N, ...), as a float32 array.

        :param x: Images (N, C, H, W), or (N, H, W, C) if the estimator has channels last, as an array or tensor, in the
            units of ``clip_values``.
        :param y: Class indices (N,), or one-hot or soft labels (N, K), to leave, or with ``targeted`` to reach. None:
            the estimator's own predictions.
        :param kwargs: As in :meth:`PGD.generate <art_domainrand.PGD.generate>`.
        """
        self._take_keywords(kwargs, ("x", "y"))
        images = self.find(x, y).images
        return images.cpu().numpy() if isinstance(images, Tensor) else images

    def perturb(self, x: Tensor, y: Any = None) -> Tensor:
        """:meth:`generate` for tensors: takes and returns tensors on the estimator's device.

        :param x: Images (N, ...) as a tensor.
        :param y: As in :meth:`generate`; tensors too.
        :return: The images under the worst domain found, (N, ...), float32.
        """
        check.require(isinstance(x, Tensor), "x", "be a torch.Tensor", check.Text(type(x).__name__), TypeError)
        images: Tensor = self.find(x, y).images
        return images

    def find(self, x: Any, y: Any = None) -> Findings:
        """Like :meth:`generate`, with the draws: each finding can be made again and printed as parameters.

        :param x: As there.
        :param y: As there.
        :return: Arrays for arrays, tensors on the estimator's device for tensors.
        """
        self._check_params()
        return find(self, x, y, None, self._solve)

    def _solve(self, stage: DrawStage, inputs: Inputs, ids: Tensor) -> WorstDraws:
        search = stage.search(inputs, stage.space(inputs, inputs.images(ids), ids), ids)
        search.search(plan_of(self, stage))
        return judged(inputs, search)


@suggesting_names
def worst_of(
    estimator: Any,
    x: Any,
    y: Any,
    pipeline: Item,
    k: int = 10,
    *,
    batch_size: int = 128,
    targeted: bool = False,
    verbose: bool = False,
    fraction: float = 1.0,
    points: Any = None,
    early_stop: bool = False,
    eot_samples: int = 1,
    seed: int | None = None,
    memory_format: str | None = None,
    autocast: torch.dtype | None = None,
    compile: bool | str = False,
) -> Findings:
    """Per image the worst of ``k`` random draws: a success if there is one, then by margin.

    Costs ``k`` forward passes per image and no gradient.

    :param estimator: Any classifier of ART with ``clip_values``.
    :param x: Images (N, C, H, W), or (N, H, W, C) if the estimator has channels last, as an array or tensor.
    :param y: Labels, or None for the estimator's own predictions.
    :param pipeline: A :class:`Pipeline`, or what one is made from.
    :param k: How many draws.
    :param batch_size: Images at a time; results do not depend on it.
    :param targeted: Reach ``y`` instead of leaving it.
    :param verbose: Show a progress bar.
    :param fraction: How far into the ranges to go, in (0, 1].
    :param points: (k, P) points of the unit cube in place of random ones.
    :param early_stop: Let an image go once it is fooled.
    :param eot_samples: How many draws of a random estimator every evaluation averages over.
    :param seed: As in :class:`DomainAttack`.
    :param memory_format: As in :class:`~art_domainrand.PGD`.
    :param autocast: As there.
    :param compile: As there.
    :return: The findings, as arrays or tensors like ``x``.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """
    check.check_counts(k=k)
    check.require(k >= 1, "k", "be >= 1", k)
    attack = DomainAttack(
        estimator,
        pipeline,
        batch_size,
        targeted,
        verbose,
        fraction=fraction,
        evaluations=k,
        k=k,
        points=points,
        early_stop=early_stop,
        eot_samples=eot_samples,
        seed=seed,
        memory_format=memory_format,
        autocast=autocast,
        compile=compile,
    )
    return attack.find(x, y)


@suggesting_names
def grid_attack(
    estimator: Any,
    *,
    angle: float = 30.0,
    shift: float = 3 / 32,
    angles: int = 31,
    shifts: int = 5,
    padding: str = "zeros",
    batch_size: int = 128,
    targeted: bool = False,
    verbose: bool = True,
    evaluations: int | None = None,
    fraction: float = 1.0,
    loss: str | Callable[[Tensor, Tensor], Tensor] | None = "margin",
    early_stop: bool = False,
    eot_samples: int = 1,
    seed: int | None = None,
    memory_format: str | None = None,
    autocast: torch.dtype | None = None,
    compile: bool | str = False,
) -> DomainAttack:
    """The grid attack of Engstrom et al. 2019 ("Exploring the landscape of spatial robustness", section 4.1).

    Every one of 5 x 5 translations by up to 3 pixels of 32 either way, combined with 31 rotations by up to 30 degrees
    either way, and per image the worst of the 775.

    :param estimator: Any classifier of ART with ``clip_values``.
    :param angle: The largest rotation, in degrees.
    :param shift: The largest translation, as a share of width and height.
    :param angles: How many rotations from one end of the range to the other; with one it is the middle.
    :param shifts: How many translations, both ways.
    :param padding: What comes from beyond the image: "zeros" as in the paper, "border" or "reflection".
    :param batch_size: Images at a time; results do not depend on it.
    :param targeted: Reach ``y`` instead of leaving it.
    :param verbose: Show a progress bar.
    :param evaluations: None for as many as there are points; with more the ascent goes on from the worst two.
    :param fraction: How far from the middle of the ranges the ascent may go, in (0, 1].
    :param loss: What the ascent climbs, as in :class:`DomainAttack`.
    :param early_stop: Let an image go once it is fooled.
    :param eot_samples: How many draws of a random estimator every evaluation averages over.
    :param seed: As in :class:`DomainAttack`.
    :param memory_format: As in :class:`~art_domainrand.PGD`.
    :param autocast: As there.
    :param compile: As there.
    :return: The attack.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """
    check.check_counts(angles=angles, shifts=shifts)
    check.require(min(angles, shifts) >= 1, "angles and shifts", "be >= 1", min(angles, shifts))
    pipeline = Pipeline(
        [
            Rotation((-angle, angle), padding=padding),
            Translation((-shift, shift), (-shift, shift), padding=padding),
        ]
    )
    points = torch.cartesian_prod(ends(angles), ends(shifts), ends(shifts))
    return DomainAttack(
        estimator,
        pipeline,
        batch_size,
        targeted,
        verbose,
        fraction=fraction,
        evaluations=len(points) if evaluations is None else evaluations,
        points=points,
        loss=loss,
        early_stop=early_stop,
        eot_samples=eot_samples,
        seed=seed,
        memory_format=memory_format,
        autocast=autocast,
        compile=compile,
    )


def ends(count: int) -> Tensor:
    """``count`` points evenly spaced over [0, 1], ends included; its middle for one."""
    return torch.linspace(0, 1, count, dtype=torch.float32) if count > 1 else torch.tensor([0.5], dtype=torch.float32)

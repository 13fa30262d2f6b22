"""Attacks that choose the domain and the pixels together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from torch import Tensor

from art_domainrand.attacks.engine.arguments import Parameters
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.config import check_name
from art_domainrand.attacks.engine.draw_search import DrawPlan
from art_domainrand.attacks.engine.draw_stage import DrawStage, WorstDraws, check_domain, judged, plan_of
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.findings import Findings, find
from art_domainrand.core import checks as check
from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.norms import Ball
from art_domainrand.estimators.refused import check_estimator
from art_domainrand.randomization.core.pipeline import Item, Pipeline
from art_domainrand.randomization.core.random_order import RandomOrder
from art_domainrand.randomization.presets import preset

ORDERS = ("joint", "domain_first", "pixels_first")

ATTACK_ORDERS = ("scheduled", "random", "fixed")
"""How CARBEN's attacks are ordered, by the names of its authors."""


class CompositeAttack(Parameters, EvasionAttack):
    """The adversary chooses the domain and, within an Lp budget, the pixels.

    The images returned are what the model is to be shown; the estimator's own preprocessors come after. ``order`` says
    how they are made, and so which image the budget is about, T being the pipeline under the draw that is found:

    - "domain_first": T(x) + delta. The worst domain is found as by :class:`DomainAttack`, then the pixels of the image
      in it are attacked: the result lies within ``eps`` of T(x), ``findings.replay(x)``.
    - "joint": T(x) + delta as well, but once the worst domain is found, draw and pixels climb on together.
    - "pixels_first": T(x + delta), an adversarial image that gets into another domain. The pixels are attacked first,
      then the worst domain for them is found: x + delta lies within ``eps`` of x, and the result need not.

    Pixels take the steps of Auto-PGD (Croce & Hein 2020, algorithm 1), in every norm along its steepest direction.

    :param estimator: Any classifier of ART with loss gradients and ``clip_values``.
    :param pipeline: A :class:`Pipeline`, or what one is made from.
    :param norm: "inf", ``np.inf`` or a real p >= 1.
    :param eps: Radius of the ball in units of ``clip_values``: a number or an array that broadcasts to ``x``.
    :param max_iter: Steps in the pixels; each costs two evaluations, beside the ``evaluations`` that find the domain.
    :param batch_size: Images at a time; results do not depend on it.
    :param targeted: Reach ``y`` instead of leaving it.
    :param verbose: Show a progress bar.
    :param order: "joint", "domain_first" or "pixels_first".
    :param fraction: How far into the ranges to go, in (0, 1].
    :param evaluations: Model evaluations per image that find the domain.
    :param k: How many of them go to random draws first; None: a fifth.
    :param points: (k, P) points of the unit cube to start from in place of random ones.
    :param loss: What the steps ascend, as in :class:`DomainAttack`.
    :param early_stop: Let an image go once it is fooled.
    :param eot_samples: How many draws of a random estimator every evaluation averages over.
    :param seed: As in :class:`DomainAttack`.
    :param memory_format: As in :class:`~art_domainrand.PGD`.
    :param autocast: As there.
    :param compile: As there.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    _estimator_requirements: ClassVar[tuple[Any, ...]] = (BaseEstimator, LossGradientsMixin, ClassifierMixin)

    pipeline: Pipeline
    norm: Any
    eps: Any
    max_iter: int
    order: str

    @suggesting_names
    def __init__(
        self,
        estimator: Any,
        pipeline: Item,
        norm: float | str = np.inf,
        eps: Any = 0.3,
        max_iter: int = 40,
        batch_size: int = 32,
        targeted: bool = False,
        verbose: bool = True,
        *,
        order: str = "joint",
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
        # The step is the algorithm's; one of the kind of eps passes.
        step = np.ones(self.eps.shape) if isinstance(self.eps, np.ndarray) else 1.0
        check.check_budget(self.norm, self.eps, step)
        check.check_counts(max_iter=self.max_iter)
        check_name("order", self.order, list(ORDERS))
        check_domain(self)
        super()._check_params()

    def generate(self, x: Any, y: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        """The images the model is to be shown, (N, ...), as a float32 array.

        :param x: Images as in :meth:`DomainAttack.generate`.
        :param y: Labels as there.
        :param mask: Array or tensor that broadcasts to ``x``; where it is zero, ``delta`` is zero too. It belongs to
            the image that delta is added to: the original for "pixels_first", the one in its domain for the others.
        :param kwargs: As in :meth:`PGD.generate <art_domainrand.PGD.generate>`.
        """
        self._take_keywords(kwargs, ("x", "y", "mask"))
        images = self.find(x, y, mask).images
        return images.cpu().numpy() if isinstance(images, Tensor) else images

    def find(self, x: Any, y: Any = None, mask: Any = None) -> Findings:
        """Like :meth:`generate`, with the draws and ``delta``.

        :param x: As there.
        :param y: As there.
        :param mask: As there.
        :return: Arrays for arrays, tensors on the estimator's device for tensors.
        """
        self._check_params()
        return find(self, x, y, mask, self._solve, "before" if self.order == "pixels_first" else "after")

    def _solve(self, stage: DrawStage, inputs: Inputs, ids: Tensor) -> WorstDraws:
        x, mask = inputs.images(ids), inputs.mask_of(ids)
        mask = None if mask is None else mask.expand(x.shape)
        balls = Balls(inputs, self.norm, self.eps)
        plan = DrawPlan(0, 1, self.max_iter, climbs=True, tries=False)

        def around(base: Tensor, rows: Tensor) -> Ball:
            return balls.over(base, ids[rows])

        if self.order == "pixels_first":
            space = stage.space(inputs, x, ids, seen=False, around=around)
            search = stage.search(inputs, space, ids, mask)
            search.best = search.best.with_pixels(x)
            search.climb(search.best.take(search.rows), search.rows, plan, domain=False)
            perturbed = space.shown(search.best.points, search.rows, settle=True)
            final = stage.search(inputs, stage.space(inputs, perturbed, ids), ids)
            final.search(plan_of(self, stage))
            found = judged(inputs, final)
            return replace(found, delta=perturbed.double() - x.double(), tainted=found.tainted | space.tainted)
        space = stage.space(inputs, x, ids, around=around)
        search = stage.search(inputs, space, ids, mask)
        search.search(plan_of(self, stage))
        search.best = search.best.with_pixels(x)
        rows = search.left()
        if self.order == "joint":
            plan = replace(plan, tries=stage.region.tries)
        search.climb(search.best.take(rows), rows, plan, number=AFTER, domain=self.order == "joint")
        found = judged(inputs, search)
        with torch.no_grad():
            delta = found.images.double() - space.base(search.best.points, search.rows).double()
        return replace(found, delta=delta)


@suggesting_names
def carben_attack(
    estimator: Any,
    norm: float | str = np.inf,
    eps: Any = None,
    max_iter: int = 40,
    batch_size: int = 32,
    targeted: bool = False,
    verbose: bool = True,
    *,
    order: str = "joint",
    attack_order: str = "scheduled",
    evaluations: int = 100,
    loss: str | Callable[[Tensor, Tensor], Tensor] | None = "margin",
    early_stop: bool = False,
    eot_samples: int = 1,
    seed: int | None = None,
    memory_format: str | None = None,
    autocast: torch.dtype | None = None,
    compile: bool | str = False,
) -> CompositeAttack:
    """The full composite attack of CARBEN (Hsiung et al. 2023, "Towards Compositional Adversarial Robustness").

    Hue by up to 180 degrees, saturation and contrast by 0.7 to 1.3, brightness by up to 0.2, a rotation by up to 10
    degrees, and pixels within L-inf 8/255. ``attack_order`` is theirs: "scheduled", where the order is searched with
    them (there by a relaxation of the permutation; here a coordinate of the cube, drawn anew between the steps),
    "random", an order of each image's own that the attack cannot choose, or "fixed", as ART has it: hue, saturation,
    rotation, brightness, contrast. Where pixels stand in the order is ``order``'s to say: last, or first. The semantic
    attacks alone are ``DomainAttack(estimator, preset("carben"))``.

    :param estimator: Any classifier of ART on RGB images with loss gradients and ``clip_values``.
    :param norm: As in :class:`CompositeAttack`.
    :param eps: Radius in units of ``clip_values``; None: 8/255 of their width.
    :param max_iter: Steps in the pixels.
    :param batch_size: Images at a time; results do not depend on it.
    :param targeted: Reach ``y`` instead of leaving it.
    :param verbose: Show a progress bar.
    :param order: "joint" and "domain_first" change pixels last, "pixels_first" first, as in :class:`CompositeAttack`.
    :param attack_order: "scheduled", "random" or "fixed".
    :param evaluations: Model evaluations per image that find the domain.
    :param loss: What the steps ascend, as in :class:`DomainAttack`.
    :param early_stop: Let an image go once it is fooled.
    :param eot_samples: How many draws of a random estimator every evaluation averages over.
    :param seed: As in :class:`DomainAttack`.
    :param memory_format: As in :class:`~art_domainrand.PGD`.
    :param autocast: As there.
    :param compile: As there.
    :return: The attack.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """
    check_name("attack_order", attack_order, list(ATTACK_ORDERS))
    if eps is None:
        bounds = getattr(estimator, "clip_values", None)
        check.require(bounds is not None, "eps", "be given for an estimator without clip_values", None)
        eps = 8 / 255 * float(np.max(np.diff(np.asarray(bounds, dtype=np.float64), axis=0)))
    return CompositeAttack(
        estimator,
        carben_set(attack_order),
        norm,
        eps,
        max_iter,
        batch_size,
        targeted,
        verbose,
        order=order,
        evaluations=evaluations,
        loss=loss,
        early_stop=early_stop,
        eot_samples=eot_samples,
        seed=seed,
        memory_format=memory_format,
        autocast=autocast,
        compile=compile,
    )


# Trials of the joint climb are numbered apart from those of the domain's.
AFTER = 1 << 33


def carben_set(attack_order: str) -> Pipeline:
    """CARBEN's five semantic attacks, ordered as :func:`carben_attack` says."""
    pipeline = preset("carben")
    (together,) = pipeline.transforms
    assert isinstance(together, RandomOrder)
    if attack_order == "fixed":
        return Pipeline(together.transforms)
    return pipeline if attack_order == "scheduled" else Pipeline(RandomOrder(together.transforms, searched=False))

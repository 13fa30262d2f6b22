"""Several threats together: of each sample the worst case over attacks of any norm and domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from art.attacks.attack import EvasionAttack
from art.config import ART_NUMPY_DTYPE
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.attacks.engine.arguments import Parameters, without_writer
from art_domainrand.attacks.engine.best import BestSoFar
from art_domainrand.attacks.engine.config import Config, check_name
from art_domainrand.attacks.engine.gradient_attack import ordinary_autograd
from art_domainrand.attacks.engine.inputs import Inputs, prepare, with_predictions
from art_domainrand.attacks.union_findings import NOBODY, UnionFindings
from art_domainrand.attacks.union_members import (
    check_can_target,
    check_masks,
    check_members,
    check_same_target,
    estimated_passes,
    member_names,
    run_member,
)
from art_domainrand.core import checks as check
from art_domainrand.estimators import is_device_estimator, open_estimator
from art_domainrand.estimators.counting import PassCounter
from art_domainrand.estimators.explaining import explained
from art_domainrand.estimators.refused import check_estimator
from art_domainrand.estimators.state import left_as_found

RUNNING_ORDERS = ("cost", "given")


class UnionAttack(Parameters, EvasionAttack):
    """The adversary may choose among several attacks for each sample: norms, radii, domains.

    The "max" strategy of Tramer & Boneh 2019 ("Adversarial Training and Robustness for Multiple Perturbations", section
    2), as Maini et al. 2020 ("Adversarial Robustness Against the Union of Multiple Perturbation Models") evaluate it: a
    sample stands if it stands against each attack. Attacks run one after the other, the cheap ones first, each on the
    samples that none before it has broken. A sample keeps its first success, or else the image of largest margin.

    What its attacks find is looked at by the union itself, where the estimator is random under ten fresh draws; so an
    attack of ART or of the user's may be among them. One without a radius, such as ART's DeepFool, breaks whatever it
    can, however far it has to go.

    :param estimator: Any ART classifier.
    :param attacks: Attacks on this very estimator, of this library, of ART, or of the user's, with parameters of their
        own: FGSM, PGD, :class:`~art_domainrand.StrongestAttack` in several norms, a
        :class:`~art_domainrand.DomainAttack`, another union. They are left as found.
    :param batch_size: Images at a time where the union looks at what was found; attacks have their own.
    :param targeted: Reach ``y`` instead of leaving it; the attacks must agree.
    :param verbose: Show a progress bar over the attacks.
    :param order: "cost" runs attacks of fewer estimated passes first, "given" as they stand. It changes what is spent;
        the samples that fall are the same where an attack's result for a sample does not depend on the others (this
        library's with a seed).
    :param seed: None leaves the attacks their own random numbers. With an int those that take a seed get one that
        belongs to it and their place, and the global generators, from which ART's draw, are seeded for each.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    _estimator_requirements: ClassVar[tuple[Any, ...]] = (BaseEstimator, ClassifierMixin)

    attacks: Sequence[Any]
    batch_size: int
    targeted: bool
    verbose: bool
    order: str
    seed: int | None

    @without_writer
    def __init__(
        self,
        estimator: Any,
        attacks: Sequence[Any],
        batch_size: int = 32,
        targeted: bool = False,
        verbose: bool = True,
        *,
        order: str = "cost",
        seed: int | None = None,
    ) -> None:
        check_estimator(estimator, self._estimator_requirements)
        super().__init__(estimator=estimator)
        check_members(attacks, estimator)
        check_can_target(attacks, targeted)
        check_same_target(attacks, targeted)
        self._set(locals())

    def __repr__(self) -> str:
        names = ", ".join(member_names(self.attacks))  # some of ART's attacks have no repr
        return f"UnionAttack([{names}], targeted={self.targeted}, order={self.order!r}, seed={self.seed})"

    def _check_params(self) -> None:
        check_members(self.attacks, self.estimator)
        check_name("order", self.order, list(RUNNING_ORDERS))
        super()._check_params()
        check_can_target(self.attacks, self.targeted)

    def generate(self, x: Any, y: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        """The worst image of each sample, (N, ...), as a float32 array.

        :param x: Images (N, ...) as an array or tensor, in the units of ``clip_values``.
        :param y: Class indices (N,), or one-hot or soft labels (N, K), to leave, or with ``targeted`` to reach. None:
            the estimator's own predictions.
        :param mask: Array or tensor that broadcasts to ``x``; pixels where it is zero are left alone. None where an
            attack takes none.
        :param kwargs: As in :meth:`PGD.generate <art_domainrand.PGD.generate>`.
        """
        self._take_keywords(kwargs, ("x", "y", "mask"))
        images = self.find(x, y, mask).images
        return images.cpu().numpy() if isinstance(images, Tensor) else images

    def perturb(self, x: Tensor, y: Any = None, mask: Any = None) -> Tensor:
        """:meth:`generate` for tensors: takes and returns tensors on the estimator's device.

        :param x: Images (N, ...) as a tensor.
        :param y: As in :meth:`generate`; tensors too.
        :param mask: As in :meth:`generate`; tensors too.
        """
        check.require(isinstance(x, Tensor), "x", "be a torch.Tensor", check.Text(type(x).__name__), TypeError)
        images: Tensor = self.find(x, y, mask).images
        return images

    def find(self, x: Any, y: Any = None, mask: Any = None) -> UnionFindings:
        """Like :meth:`generate`, with which attack broke each sample, margins, and what it took.

        :param x: As there.
        :param y: As there.
        :param mask: As there.
        :return: Arrays for arrays, tensors on the estimator's device for tensors.
        """
        self._check_params()
        check_masks(self.attacks, mask)
        as_tensor = isinstance(x, Tensor)
        with ordinary_autograd(), left_as_found(self.estimator), PassCounter(self.estimator) as counter:
            inputs = self._inputs(x, y, mask)
            best = BestSoFar.into(torch.empty_like(inputs.x), inputs.device)
            by = torch.full((len(inputs),), NOBODY, device=inputs.device)
            spent = {}
            for place in tqdm(self._running_order(), desc="UnionAttack", leave=False, disable=not self.verbose):
                left = (~best.fooled).nonzero().squeeze(1)
                before = counter.forwards, counter.backwards
                if len(left):
                    by[left[self._run(place, inputs, left, best)]] = place
                spent[place] = (len(left), counter.forwards - before[0], counter.backwards - before[1])

        def out(tensor: Tensor) -> Any:
            return tensor if as_tensor else tensor.cpu().numpy()

        shown, forwards, backwards = zip(*(spent[place] for place in range(len(self.attacks))), strict=True)
        return UnionFindings(
            images=out(best.adv),
            fooled=out(best.fooled),
            by=out(by),
            margins=out(best.margin),
            names=member_names(self.attacks),
            order=tuple(spent),
            shown=shown,
            forwards=forwards,
            backwards=backwards,
        )

    def _running_order(self) -> list[int]:
        places = list(range(len(self.attacks)))
        return (
            sorted(places, key=lambda place: estimated_passes(self.attacks[place])) if self.order == "cost" else places
        )

    def _inputs(self, x: Any, y: Any, mask: Any) -> Inputs:
        """What is attacked, checked, with labels."""
        images = check.images(x, ART_NUMPY_DTYPE)
        if isinstance(x, Tensor) and is_device_estimator(self.estimator):
            images = images.to(self.estimator.device)
        with open_estimator(self.estimator) as source, explained(self.estimator, images):
            inputs = prepare(self.estimator, source, images, y, mask, Config.of(self))
            self._warn_of_pixels(inputs.outside)
            if not len(inputs):
                return inputs
            if y is None:
                inputs = with_predictions(inputs, shared=False)
            assert inputs.random is not None  # asked while the estimator is open, and remembered
            return inputs

    @contextmanager
    def _looking(self, inputs: Inputs) -> Iterator[None]:
        """Inside, the inputs can be judged."""
        with open_estimator(self.estimator) as source:
            inputs.source = source
            yield

    def _run(self, place: int, inputs: Inputs, left: Tensor, best: BestSoFar) -> Tensor:
        """Attack the samples ``left`` (A,), offer what is found, and return which of them it broke, (A,) bool."""
        found = run_member(self.attacks[place], place, inputs, left, inputs.mask)
        broken = []
        with self._looking(inputs):
            for first in range(0, len(left), self.batch_size):
                part, adv = (whole[first : first + self.batch_size] for whole in (left, found))
                evaluator = inputs.evaluator(part, inputs.criterion(part), place)
                fooled, margin = evaluator.judge(adv.to(inputs.device), torch.arange(len(part), device=part.device))
                best.offer(part, adv, fooled, margin)
                broken.append(fooled)
        return torch.cat(broken)

"""The fast gradient (sign) method under ART's interface."""

from typing import Any, Unpack

import numpy as np
from art.attacks.evasion.fast_gradient import FastGradientMethod
from art.estimators.classification.classifier import ClassifierMixin
from torch import Tensor

from art_domainrand.attacks.engine.art_loop import ArtLoop, Batch
from art_domainrand.attacks.engine.ascent import Ascent, ascend, smallest_step, whole_steps
from art_domainrand.attacks.engine.gradient_attack import SEARCH_PARAMS
from art_domainrand.attacks.engine.job import Job
from art_domainrand.attacks.engine.search import Stage
from art_domainrand.attacks.engine.steps import GrowingSteps, PGDSteps, Steps, as_size
from art_domainrand.attacks.options import SearchOptions, check_options
from art_domainrand.core import checks as check
from art_domainrand.core.norms import Ball
from art_domainrand.estimators import Gradients, borrow


class FGSM(ArtLoop, FastGradientMethod):
    """The fast gradient sign method (Goodfellow et al. 2015) and its other norms, a drop-in for ART's version.

    Parameters have ART's names and meaning; ``options`` are those of :class:`~art_domainrand.PGD`.

    :param eps: Radius of the ball and length of the step, a number or an array that broadcasts to ``x``.
    :param eps_step: With ``minimal``, the grid of radii: multiples of ``eps_step`` and last ``eps`` itself.
    :param num_random_init: Restarts from random points of the ball; 0 starts at ``x``. Each sample keeps its best
        restart.
    :param minimal: Search the smallest radius on the grid that succeeds, per sample; where none does, ``eps`` is used.
    :param verbose: Show a progress bar.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    attack_params = [*FastGradientMethod.attack_params, "verbose", *SEARCH_PARAMS]  # noqa: RUF012 - declared so by ART

    minimal: bool

    def __init__(
        self,
        estimator: Any,
        norm: float | str = np.inf,
        eps: Any = 0.3,
        eps_step: Any = 0.1,
        targeted: bool = False,
        num_random_init: int = 0,
        batch_size: int = 32,
        minimal: bool = False,
        summary_writer: Any = False,
        *,
        verbose: bool = False,
        **options: Unpack[SearchOptions],
    ) -> None:
        check.check_estimator(estimator, self._estimator_requirements)
        check_fgsm(estimator, norm, eps, eps_step, targeted, num_random_init, batch_size, minimal)
        eps, eps_step = check.plain(eps), check.plain(eps_step)
        check.check_flags(verbose=verbose)
        self.verbose = bool(verbose)
        self._set_options({**options})
        super().__init__(
            estimator=estimator,
            norm=norm,
            eps=eps,
            eps_step=eps_step,
            targeted=bool(targeted),
            num_random_init=int(num_random_init),
            batch_size=int(batch_size),
            minimal=bool(minimal),
            summary_writer=summary_writer,
        )

    def _check_params(self) -> None:
        check_fgsm(
            self.estimator,
            self.norm,
            self.eps,
            self.eps_step,
            self.targeted,
            self.num_random_init,
            self.batch_size,
            self.minimal,
        )
        check_options(self._options())
        check.check_flags(verbose=self.verbose)

    def _radius_and_step(self) -> tuple[Any, Any]:
        return self.eps, self.eps_step if self.minimal else self.eps

    def _restarts(self) -> int:
        return 1 if self.minimal else max(1, self.num_random_init)

    def _climb(self, batch: Batch) -> Ascent:
        if not self.minimal:
            return ascend(batch.gradient(), batch.space, batch.start, batch.size, 1, batch.mask, observe=batch.observe)
        return smallest_step(
            batch.gradient(),
            lambda adv: batch.judge(adv)[0],
            batch.space,
            batch.size,
            batch.mask,
            batch.observe,
        )

    def _stages(self, job: Job) -> list[Stage]:
        def steps(ball: Ball, mask: Tensor | None, ids: Tensor) -> Steps:
            if self.minimal:
                return GrowingSteps(ball, mask, job.sizes(ids))
            return PGDSteps(ball, mask, as_size(ball.eps, ball.x), 1, "constant", None)

        stage = Stage(
            name=type(self).__name__,
            aim=job.aim(job.named(self.loss)),
            steps=steps,
            start=job.start(at_random=self.num_random_init > 0 and not self.minimal),
            max_iter=whole_steps(job.starts.eps, job.size) if self.minimal else 1,
            restarts=self._restarts(),
            early_stop=self.early_stop or self.minimal,
            keep_best=self.keep_best,
        )
        return [stage]

    def _predicted_labels(self, source: Gradients, x: Tensor) -> Tensor:
        """Predictions as distributions: beyond two classes, ART's FGM shares the label among classes that tie."""
        top = super()._predicted_labels(source, x)
        return top / top.sum(1, keepdim=True) if self.estimator.nb_classes > 2 else top

    def _generate_ragged(self, x: Any, y: Any, mask: Any) -> check.Array:
        """Images of different sizes (object detection) go through ART's own loop, image by image."""
        rule = "be 0 for an object array, whose images have balls of different sizes"
        check.require(not self.num_random_init, "num_random_init", rule, self.num_random_init)
        with borrow(self.estimator):
            ragged: check.Array = FastGradientMethod.generate(self, x, y, mask=mask)
        return ragged

    def _schedule(self, restarts: int, batches: list[slice]) -> list[tuple[int, slice]]:
        return [(restart, rows) for restart in range(restarts) for rows in batches]

    def _drawn_with(self, rows: slice, n: int) -> slice:
        return slice(0, n)  # ART's FGM draws the starts of all images in one call


def check_fgsm(
    estimator: Any,
    norm: Any,
    eps: Any,
    eps_step: Any,
    targeted: Any,
    num_random_init: Any,
    batch_size: Any,
    minimal: Any,
) -> None:
    """Check every parameter of :class:`FGSM` that ART has too."""
    check.check_budget(norm, eps, eps_step)
    check.check_counts(num_random_init=num_random_init, batch_size=batch_size)
    check.check_flags(targeted=targeted, minimal=minimal)
    has_classes = isinstance(estimator, ClassifierMixin)
    check.require(has_classes or not minimal, "minimal", "be False for an estimator without classes", minimal)

"""What FGSM and PGD share beyond every gradient attack: ART's own loop, batch by batch and restart by restart."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from art.estimators.classification.classifier import ClassifierMixin
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.attacks.engine.aim import Aim
from art_domainrand.attacks.engine.ascent import Ascent, Observe
from art_domainrand.attacks.engine.gradient_attack import SEARCH_PARAMS, GradientAttack
from art_domainrand.attacks.engine.job import call_keys, on
from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.attacks.engine.starts import Starts
from art_domainrand.attacks.options import DEFAULTS, DeviceOptions
from art_domainrand.core import checks as check
from art_domainrand.core.norms import Ball, Size, ball, per_sample
from art_domainrand.estimators import Gradients, has_cross_entropy, loss_of_each


@dataclass(frozen=True)
class Batch:
    """One batch on the device, ready to be climbed: ``y`` are its labels, ``sign`` is -1 for a targeted attack.

    ``by_loss`` is an estimator without class scores, whose loss takes the place of the margin; None for a classifier.
    """

    source: Gradients
    y: Any
    sign: int
    space: Ball
    start: Tensor
    size: Size
    mask: Tensor | None
    observe: Observe | None
    by_loss: Any = None

    def gradient(self) -> Any:
        """The function from a point to the gradient to ascend."""
        labels = self.source.labels(self.y)
        return lambda adv: self.source.gradient(adv, labels, self.sign)

    def judge(self, adv: Tensor) -> tuple[Tensor, Tensor]:
        """Which samples succeed (B,), and their margins (B,), or their losses where there are no classes to succeed."""
        if self.by_loss is None:
            return Aim(self.y, self.sign).judge(self.source.scores(adv))
        loss = self.sign * loss_of_each(self.by_loss, adv.cpu().numpy(), self.y).to(adv.device)
        strength = loss.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).float()
        return torch.zeros(len(adv), dtype=torch.bool, device=adv.device), strength


class ArtLoop(GradientAttack):
    """Mixin over ART's ``FastGradientMethod`` family: ART's own loop, or a search where an option asks for one."""

    minimal: bool

    def _searches(self) -> bool:
        """Whether an option asks for more than ART's own algorithm."""
        plain = {*DeviceOptions.__annotations__, "eot_draws"}
        if self.loss == "cross_entropy" and has_cross_entropy(self.estimator):
            plain |= {"loss"}
        return any(getattr(self, name) != DEFAULTS[name] for name in SEARCH_PARAMS if name not in plain)

    @abstractmethod
    def _climb(self, batch: Batch) -> Ascent:
        """Run the attack on one batch."""

    @abstractmethod
    def _schedule(self, restarts: int, batches: list[slice]) -> list[tuple[int, slice]]:
        """The (restart, batch) pairs in the order in which ART runs them and draws their random starts."""

    @abstractmethod
    def _drawn_with(self, rows: slice, n: int) -> slice:
        """The rows whose random starts ART draws in the same call as those of ``rows``."""

    def _carry_out(
        self,
        source: Gradients,
        x: Tensor,
        y: Any,
        mask: Tensor | None,
        box: tuple[Tensor | None, Tensor | None],
        out: Tensor,
    ) -> Tensor:
        searches = self._searches() or self._would_trust_luck(source, x)
        way = super()._carry_out if searches else self._run
        return way(source, x, y, mask, box, out)

    def _would_trust_luck(self, source: Gradients, x: Tensor) -> bool:
        """Whether ART's loop would judge by one prediction where predictions vary; the search asks several times."""
        judges = (self.minimal or self._restarts() > 1) and isinstance(self.estimator, ClassifierMixin)
        return judges and not self.summary_writer and is_random(source, x, self.batch_size)

    def _run(
        self,
        source: Gradients,
        x: Tensor,
        y: Any,
        mask: Tensor | None,
        box: tuple[Tensor | None, Tensor | None],
        out: Tensor,
    ) -> Tensor:
        """Climb every batch from every start; return which samples (N,) met a non-finite gradient."""
        batches = self._batches(len(x))
        device, shape, norm = source.device, tuple(x.shape), check.norm_order(self.norm)
        radius, step = self._radius_and_step()
        eps = check.sizes_for("eps", radius, norm, shape)
        size = check.sizes_for("eps_step", step, norm, shape)
        low, high = (None if bound is None else bound.to(device) for bound in box)
        keys = None if self.seed is None else call_keys(x, self)
        starts = Starts(norm, shape, eps, device, keys, lambda rows: self._drawn_with(rows, len(x)))
        restarts = self._restarts()
        best = torch.full((len(x),), -torch.inf, dtype=torch.float32, device=device)
        tainted = torch.zeros(len(x), dtype=torch.bool, device=device)
        broken = torch.zeros_like(tainted)
        for restart, rows in self._progress(self._schedule(restarts, batches)):
            images = x[rows].to(device)
            keep = check.rows_of(mask, shape, rows)
            keep = None if keep is None else keep.to(device)
            space = self._reaching(ball(norm, images, on(check.rows_of(eps, shape, rows), device), low, high))
            start = images
            if self.num_random_init > 0:
                noise = starts.at(restart, rows)
                start = space.start(noise if keep is None else noise * keep)
            batch = Batch(
                source=source,
                y=y[rows],
                sign=-1 if self.targeted else 1,
                space=space,
                start=start,
                size=on(check.rows_of(size, shape, rows), device, images.dtype),
                mask=keep,
                observe=self._observer(batches.index(rows), y[rows], 1 / len(images) if source.summed else 1.0),
                by_loss=None if isinstance(self.estimator, ClassifierMixin) else self.estimator,
            )
            end = self._climb(batch)
            tainted[rows] |= end.tainted.isnan()
            if restarts == 1:
                out[rows] = end.adv
                continue
            # A success replaces what is there, as in ART; among failures the strongest stays.
            success, strength = batch.judge(end.adv)
            better = success | ~broken[rows] & (strength > best[rows])
            if restart == 0:
                better = torch.ones_like(better)
            broken[rows] |= success
            best[rows] = torch.where(better, strength, best[rows])
            out[rows] = torch.where(per_sample(better, images), end.adv, out[rows].to(device)).to(out.device)
        return tainted

    def _progress(self, jobs: list[tuple[int, slice]]) -> Iterable[tuple[int, slice]]:
        hide = not getattr(self, "verbose", False)
        bar: Iterable[tuple[int, slice]] = tqdm(jobs, desc=type(self).__name__, leave=False, disable=hide)
        return bar

    def _observer(self, batch_id: int, y: Any, scale: float) -> Observe | None:
        if self.summary_writer is None:
            return None
        return partial(self._summarize, batch_id, y.cpu().numpy() if isinstance(y, Tensor) else y, scale)

    def _summarize(self, batch_id: int, y: Any, scale: float, i: int, grad: Tensor, adv: Tensor) -> None:
        """Hand one step to ART's summary writer, its gradient scaled to that of the estimator's loss."""
        self.summary_writer.update(
            batch_id=batch_id,
            global_step=i,
            grad=grad.cpu().numpy() * scale,
            patch=None,
            estimator=self.estimator,
            x=adv.cpu().numpy(),
            y=y,
            targeted=self.targeted,
        )

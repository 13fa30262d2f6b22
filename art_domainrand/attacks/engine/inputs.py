"""The inputs of one call of an attack: checked once, and made ready batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from art.estimators.classification.classifier import ClassifierMixin
from torch import Tensor

from art_domainrand.attacks.engine.best import Which, on
from art_domainrand.attacks.engine.config import Config
from art_domainrand.attacks.engine.criterion import TEMPERED, UNSATURATED, Criterion
from art_domainrand.attacks.engine.evaluator import Evaluator, Expectation
from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.core import checks as check
from art_domainrand.core.losses import log_odds, tempered_log_odds
from art_domainrand.core.norms import rows_of
from art_domainrand.core.random import derive, image_keys
from art_domainrand.estimators import Gradients


@dataclass
class Inputs:
    """What one call attacks: images ``x`` (N, ...) where the caller has them, and how to get at some of them.

    ``labels`` (N,) are class indices of ``classes`` many, or (N, K) soft labels; for an estimator without classes, what
    it takes. ``mask`` broadcasts to ``x``. ``low`` and ``high`` are the clip range, or None; ``outside`` says what
    pixel lies outside it. ``view`` is a :class:`DomainRandomization` that the attack alone looks through, or None.

    Images, masks and labels of a batch are made where they are asked for, on the device of ``source``.
    """

    estimator: Any
    source: Gradients
    config: Config
    x: Tensor
    labels: Any
    classes: int
    mask: Tensor | None
    low: Tensor | None
    high: Tensor | None
    outside: str | None
    view: Any = None
    _clean: CleanScores | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def device(self) -> torch.device:
        """Where the attack computes."""
        return self.source.device

    @property
    def sign(self) -> int:
        """-1 for a targeted attack, which lowers the loss."""
        return -1 if self.config.targeted else 1

    @property
    def with_classes(self) -> bool:
        """Whether the estimator is a classifier."""
        return isinstance(self.estimator, ClassifierMixin)

    def batches(self) -> list[slice]:
        """Consecutive images, as many at a time as ``batch_size`` allows."""
        n, size = len(self), self.config.batch_size
        return [slice(first, min(first + size, n)) for first in range(0, n, size)]

    def images(self, which: Which) -> Tensor:
        """Some of the images, on the device."""
        return self.x[on(which, self.x)].to(self.device)

    def y(self, which: Which) -> Any:
        """Labels (A, K) of some images, or the estimator's own form of them."""
        if not self.with_classes:
            return self.labels[which]
        rows = self.labels[which]
        return rows if rows.dim() > 1 else torch.nn.functional.one_hot(rows, self.classes).float()

    def mask_of(self, which: Which) -> Tensor | None:
        """The mask of some images, as a float tensor."""
        if self.mask is None:
            return None
        index: Any = on(which, self.mask)
        part = rows_of(self.mask, self.x, index)
        assert isinstance(part, Tensor)
        return part.to(self.device, self.x.dtype)

    def keys_of(self, which: Which) -> Tensor:
        """The random keys of some images."""
        return self.keys[which]

    @cached_property
    def keys(self) -> Tensor:
        """The key of each image in this call, (N,): a function of seed, call and pixels.

        Without a seed ART's global generator decides, by one number, taken when the first key is needed.
        """
        seed = self.config.seed
        seed = int(np.random.randint(2**31)) if seed is None else int(seed)  # noqa: NPY002
        return derive(image_keys(self.x), seed, self.config._round).to(self.device)

    @cached_property
    def random(self) -> bool:
        """Whether predictions vary; to find out, the model is asked twice."""
        return self.view is not None or is_random(self.source, self.x, self.config.batch_size)

    @cached_property
    def trusted(self) -> bool:
        """Whether what a step sees of a sample is what the estimator predicts for what is returned.

        So it is in full precision, without randomness, rounding or postprocessing. A point from outside the box may
        move on its way out.
        """
        config = self.config
        changed = self.random or config.quantize or config.autocast or config.compile or self.outside
        return self.source.as_predicted and not changed and not self.estimator.postprocessing_defences

    def evaluator(
        self, which: Which, criterion: Criterion, *path: Tensor | int, samples: int | None = None
    ) -> Evaluator:
        """What evaluates points of some images; its draws are told from those of others by ``path``."""
        config = self.config
        return Evaluator(
            self.source,
            criterion,
            Expectation(samples or config.eot_samples, self.view, config.eot_draws),
            derive(self.keys_of(which), *path) if self.random else None,
            random=self.random,
            batch_size=config.batch_size,
        )

    def criterion(self, which: Which, loss: Any = None, towards: Tensor | None = None) -> Criterion:
        """What is wanted of some images, by a loss of its own."""
        return Criterion(self.y(which), self.sign, loss, towards)

    def named(self, loss: Any) -> Any:
        """A loss by its name, where the estimator's own (None) is the cross-entropy: both are then one computation."""
        return "cross_entropy" if loss is None and self.source.cross_entropy else loss

    def unsaturated(self, loss: Any, samples: int | None = None, *, tempered: bool = False) -> Any:
        """Cross-entropy, for each sample whose label is a single class, as what climbs alike and never saturates.

        Over several draws the mean of cross-entropies climbs otherwise than the mean of log-odds: it stays. With
        ``tempered``, scores that spread far are climbed as if they spread less.
        """
        loss = self.named(loss)
        if not (isinstance(loss, str) and loss == "cross_entropy" and (samples or self.config.eot_samples) == 1):
            return loss
        if self.one_class_each:
            return tempered_log_odds if tempered else log_odds
        return TEMPERED if tempered else UNSATURATED

    @cached_property
    def one_class_each(self) -> bool:
        """Whether all labels are single classes, not distributions over several."""
        return self.labels.dim() == 1 or bool((self.labels.amax(1) == 1).all())

    def clean(self, rivals: int) -> CleanScores:
        """What the attack sees of the originals; ``rivals`` is how many other classes are of interest at most."""
        if self._clean is None or self._clean.asked < rivals:
            parts = [self._clean_of(rows, rivals) for rows in self.batches()]
            ranked, margin = torch.cat([part.rivals for part in parts]), torch.cat([part.margin for part in parts])
            self._clean = replace(parts[0], rivals=ranked, margin=margin)
        return self._clean

    def _clean_of(self, rows: slice, rivals: int) -> CleanScores:
        criterion = self.criterion(rows)
        scores = self.evaluator(rows, criterion).clean_scores(self.images(rows))
        own = criterion.y.argmax(1, keepdim=True)
        ranked = scores.scatter(1, own, -torch.inf).argsort(dim=1, descending=True)[:, :-1]
        return CleanScores(ranked[:, :rivals].clone(), criterion.judge(scores)[1], rivals, scores.shape[1])


@dataclass(frozen=True)
class CleanScores:
    """Of the originals: the other classes by falling score, ``rivals`` (N, R), and the ``margin`` (N,).

    ``asked`` is how many classes were asked for; there may be fewer. ``classes`` is how many scores there are.
    """

    rivals: Tensor
    margin: Tensor
    asked: int
    classes: int


def prepare(
    estimator: Any, source: Gradients, x: Tensor, y: Any, mask: Any, config: Config, view: Any = None
) -> Inputs:
    """Check images, labels and mask of a call.

    :param source: The view of ``estimator`` that the attack has.
    :param x: Images (N, ...), a tensor of ART's float type.
    :param y: Class indices (N,) or (N, 1), or labels (N, K); what an estimator without classes takes; or None.
    :param mask: Broadcasts to ``x``, or None.
    :param view: What the attack alone looks through, or None.
    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """
    low, high = check.clip_bounds(estimator.clip_values, tuple(x.shape[1:]), x.device)
    check.check_layout(x, estimator)
    outside = check.check_pixels(x, low, high)
    mask = check.mask_for(mask, x)
    check.require(y is not None or not config.targeted, "y", "be given for a targeted attack", None)
    classes = 0
    if y is not None and isinstance(estimator, ClassifierMixin):
        y = check.class_labels(y, len(x), estimator.nb_classes)
        y, classes = compact(y).to(source.device), y.shape[1]
    elif y is not None:
        check.require(len(y) == len(x), "y", f"hold one target for each of the {len(x)} samples", len(y))
    low, high = (None if bound is None else bound.to(source.device) for bound in (low, high))
    return Inputs(estimator, source, config, x, y, classes, mask, low, high, outside, view)


def with_predictions(inputs: Inputs, *, shared: bool) -> Inputs:
    """The inputs with the estimator's predictions for labels; equal maxima all have it, or with ``shared`` share it."""
    found, wide, classes = [], False, 0
    for rows in inputs.batches():
        scores = inputs.source.scores(inputs.images(rows))
        top = (scores == scores.amax(1, keepdim=True)).float()
        found.append(compact(top / top.sum(1, keepdim=True) if shared else top))
        wide, classes = wide or found[-1].dim() > 1, scores.shape[1]
    if wide:
        found = [y if y.dim() > 1 else torch.nn.functional.one_hot(y, classes).float() for y in found]
    return replace(inputs, labels=torch.cat(found), classes=classes)


def compact(labels: Tensor) -> Tensor:
    """Labels (N, K) as class indices (N,), if each is a single class."""
    single = (((labels == 0) | (labels == 1)).all(1) & (labels.sum(1) == 1)).all()
    return labels.argmax(1) if bool(single) else labels

"""Gradient, loss and success of the images of a batch, in expectation where something is random."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from art_domainrand.attacks.engine.config import EOT_DRAWS
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.core.random import CLEAN, JUDGE, STEP, derive
from art_domainrand.estimators import Gradients
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.sampling import keyed_draws

# How many draws, never seen by the attack, must all agree that a sample is fooled where the estimator is random.
AGREEING_DRAWS = 10
# On a CPU the copies of a few samples at a time, this many bytes of images, stay in its cache: 1.6 times as fast.
CACHE_BYTES = 1 << 19

ImagesOf = Callable[[Tensor, Tensor], Tensor]
"""Points (a, ...), and which of the samples evaluated they are (a,) -> their images, differentiably."""


@dataclass(frozen=True)
class Assessment:
    """Of every sample (A,): the ``gradient`` (A, ...), the ``value`` ascended, whether it ``fooled``, its ``margin``.

    Over several draws gradient, value and margin are means, and a sample has fooled if it did under every draw.
    """

    gradient: Tensor
    value: Tensor
    fooled: Tensor
    margin: Tensor

    def take(self, index: Tensor) -> "Assessment":
        """Of the samples ``index``."""
        return Assessment(self.gradient[index], self.value[index], self.fooled[index], self.margin[index])


@dataclass(frozen=True)
class Expectation:
    """The mean over ``samples`` draws in one batch (expectation over transformation, Athalye et al. 2018).

    ``view`` is a :class:`DomainRandomization` that only the attack looks through, or None. ``draws`` is a key of
    :data:`EOT_DRAWS`.
    """

    samples: int = 1
    view: Any = None
    draws: str = "fresh"


class Evaluator:
    """Evaluates points of one batch of samples by its ``criterion``; ``random`` says whether that varies.

    Draws are functions of the samples' ``keys`` (n,), which may be None where nothing is drawn, and of how many steps
    have been taken. The model is shown no more than ``batch_size`` images at a time, copies included; None is no bound.
    """

    def __init__(
        self,
        source: Gradients,
        criterion: Criterion,
        expectation: Expectation,
        keys: Tensor | None,
        *,
        random: bool,
        batch_size: int | None = None,
    ) -> None:
        self.source, self.criterion, self.expectation = source, criterion, expectation
        self.keys, self.random, self.batch_size = keys, random, batch_size
        self.step = 0
        self._rows: Tensor | None = None
        self._copied: tuple[Criterion, Any] = (criterion, None)

    def evaluate(self, adv: Tensor, rows: Tensor, images_of: ImagesOf | None = None) -> Assessment:
        """What is to be known of ``adv`` (A, ...), the adversarial examples of the samples ``rows`` (A,).

        They may be points of another kind, of which ``images_of`` makes images; the gradient is then that at them.
        """
        n, copies, view = len(adv), self.expectation.samples, self.expectation.view
        criterion, labels = self._of_copies(rows)
        number = 0 if self.expectation.draws == "common" else self.step
        draws = self._draws(rows, (STEP, number), copies, EOT_DRAWS[self.expectation.draws])
        self.step += 1
        of_view, of_source = (draws[:1], draws[1:]) if view is not None else ([], draws)
        found = []
        for wide in slices(n, copies, self.batch_size, adv):
            index = rows_shown(wide, copies, adv.device) if copies > 1 or images_of is not None else rows
            made = partial(images_seen, images_of, index, view, of_view[0][wide] if of_view else None)
            found.append(
                self.source.evaluate(
                    adv[wide] if copies == 1 else adv[index],
                    labels_of_rows(labels, wide),
                    criterion.sign,
                    partial(values_of_rows, criterion, wide.start) if criterion.has_values else None,
                    [draw[wide] for draw in of_source],
                    None if images_of is None and view is None else made,
                )
            )
        scores = joined([part.scores for part in found])
        gradient = joined([part.gradient for part in found])
        fooled, margin = criterion.judge(scores)
        # The estimator's own loss has no value for each sample; the margin stands in where one is needed.
        values = [part.values for part in found if part.values is not None]
        value = joined(values) if values else margin
        if copies > 1:
            gradient = gradient.view(n, copies, *gradient.shape[1:]).mean(1)
            value, margin = value.view(n, copies).mean(1), margin.view(n, copies).mean(1)
            fooled = fooled.view(n, copies).all(1)
        return Assessment(gradient, value, fooled, margin)

    def _of_copies(self, rows: Tensor) -> tuple[Criterion, Any]:
        """The criterion of ``rows``, each repeated for every draw, and its labels as the source takes them."""
        if self._rows is not rows:  # made once while nobody leaves
            repeated = rows.repeat_interleave(self.expectation.samples)
            criterion = self.criterion.take(repeated.to(self.criterion.y.device))
            self._rows, self._copied = rows, (criterion, self.source.labels(criterion.y))
        return self._copied

    def _draws(self, rows: Tensor, path: tuple[int, ...], copies: int = 1, method: str = "uniform") -> list[Draw]:
        """``copies`` draws for each of ``rows``: for the attack's own view first, then for random preprocessors."""
        views = ([] if self.expectation.view is None else [self.expectation.view]) + [*self.source.random_preprocessors]
        if not views or self.keys is None:
            return []
        keys = derive(self.keys[rows], *path)
        return [keyed_draws(view.pipeline, derive(keys, k), copies, method) for k, view in enumerate(views)]

    def judge(self, adv: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Which of ``adv`` succeed (A,), and their margins (A,), in full precision.

        Where something is random both come from :data:`AGREEING_DRAWS` draws that no step has seen: all must agree on
        a success, and the margin is their mean.
        """
        criterion = self.criterion.take(rows.to(self.criterion.y.device))
        if not self.random:
            return criterion.judge(self.source.scores(adv))
        fooled = torch.ones(len(adv), dtype=torch.bool, device=adv.device)
        total = torch.zeros(len(adv), dtype=torch.float32, device=adv.device)
        for look in range(AGREEING_DRAWS):
            success, margin = criterion.judge(self._look(adv, rows, (JUDGE, self.step, look)))
            fooled &= success
            total += margin
        return fooled, total / AGREEING_DRAWS

    def looks(self, seen: Tensor, rows: Tensor, times: int) -> Iterator[Tensor]:
        """Class scores of images ``seen`` (A, ...) as they are, so many times, under draws of the next step."""
        step, self.step = self.step, self.step + 1
        for look in range(times):
            yield self.source.scores(seen, self._draws(rows, (STEP, step, 1 + look)))

    def clean_scores(self, x: Tensor) -> Tensor:
        """Class scores (n, K) of the originals ``x`` (n, ...), where something is random their means."""
        if not self.random:
            return self.source.scores(x).float()
        rows = torch.arange(len(x), device=x.device)
        looks = (self._look(x, rows, (CLEAN, look)).float() for look in range(AGREEING_DRAWS))
        return sum(looks, torch.zeros((), device=x.device)) / AGREEING_DRAWS

    def _look(self, x: Tensor, rows: Tensor, path: tuple[int, ...]) -> Tensor:
        """Class scores of ``x`` (A, ...), the samples ``rows``, under one draw for each."""
        draws, view = self._draws(rows, path), self.expectation.view
        if view is None:
            return self.source.scores(x, draws)
        with torch.no_grad():
            seen = view.randomize(x, draws[0])
        return self.source.scores(seen, draws[1:])


def slices(n: int, copies: int, batch_size: int | None, x: Tensor) -> list[slice]:
    """``n * copies`` rows of images like ``x``, as many at a time as ``batch_size`` and the CPU's cache hold.

    All copies of a sample are in one slice, or in slices of equal size, so that they weigh alike.
    """
    total = n * copies
    most = total if batch_size is None else batch_size
    if copies > 1 and x.device.type == "cpu":
        most = min(most, max(copies, CACHE_BYTES // max(1, x[:1].nbytes)))
    if total <= most:
        return [slice(0, total)]
    size = most // copies * copies or max(d for d in range(1, most + 1) if copies % d == 0)
    return [slice(first, min(first + size, total)) for first in range(0, total, size)]


def rows_shown(wide: slice, copies: int, device: torch.device) -> Tensor:
    """Which samples some of their copies belong to."""
    return torch.arange(wide.start, wide.stop, device=device).div_(copies, rounding_mode="floor")


def images_seen(
    images_of: ImagesOf | None, index: Tensor, view: Any, draw: Draw | None, points: Tensor, rows: slice
) -> Tensor:
    """The images made of some rows of a batch, and randomized by their draws where there is a ``view``."""
    images = points if images_of is None else images_of(points, index[rows])
    if view is None or draw is None:
        return images
    seen: Tensor = view.randomize(images, draw[rows])
    return seen


def values_of_rows(criterion: Criterion, first: int, scores: Tensor, rows: slice) -> Tensor:
    """What ``criterion`` ascends at the scores of some rows, counted from its row ``first``."""
    return criterion.values(scores, slice(rows.start + first, rows.stop + first))


def joined(parts: list[Tensor]) -> Tensor:
    """Tensors of consecutive rows as one."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def labels_of_rows(labels: Any, rows: slice) -> Any:
    """Some rows of what ``Gradients.labels`` returned."""
    return tuple(part[rows] for part in labels) if isinstance(labels, tuple) else labels[rows]

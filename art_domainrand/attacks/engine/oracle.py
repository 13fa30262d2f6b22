"""Where the samples of a batch stand: gradient, loss and success, in expectation where something is random."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from art_domainrand.attacks.engine.aim import Aim
from art_domainrand.core.memory import Parts
from art_domainrand.core.random import CLEAN, JUDGE, STEP, derive
from art_domainrand.estimators import Evaluation, Gradients
from art_domainrand.randomization.core.keyed import keyed_draws
from art_domainrand.randomization.core.transform import Draw

# How many draws, never seen by the attack, must all agree that a sample is fooled where the estimator is random.
AGREEING_DRAWS = 10
# On a CPU the copies of a few samples at a time, this many bytes of images, stay in its cache: 1.6 times as fast.
CACHE_BYTES = 1 << 19

EOT_DRAWS = {"fresh": "uniform", "common": "uniform", "antithetic": "antithetic", "sobol": "sobol"}
"""The attacks' ``eot_draws`` -> the method of ``Pipeline.sample``; "common" keeps the draws of the first step."""


@dataclass(frozen=True)
class Standing:
    """Of every sample (A,): the ``gradient`` (A, ...), the ``value`` ascended, whether it ``fooled``, its ``margin``.

    Over several draws gradient, value and margin are means, and a sample has fooled if it did under every draw.
    """

    gradient: Tensor
    value: Tensor
    fooled: Tensor
    margin: Tensor

    def take(self, index: Tensor) -> "Standing":
        """Of the samples ``index``."""
        return Standing(self.gradient[index], self.value[index], self.fooled[index], self.margin[index])


@dataclass(frozen=True)
class Expectation:
    """The mean over ``samples`` draws in one batch (expectation over transformation, Athalye et al. 2018).

    ``view`` is a :class:`DomainRandomization` that only the attack looks through, or None. ``draws`` is a key of
    :data:`EOT_DRAWS`.
    """

    samples: int = 1
    view: Any = None
    draws: str = "fresh"


class Oracle:
    """Answers for one batch of samples with a common ``aim``; ``random`` says whether its answers vary.

    Draws are functions of the samples' ``keys`` (n,) and of how many steps have been taken. The model is shown no more
    than ``batch_size`` images at a time, copies included; None is no bound.
    """

    def __init__(
        self,
        source: Gradients,
        aim: Aim,
        expectation: Expectation,
        keys: Tensor,
        *,
        random: bool,
        batch_size: int | None = None,
    ) -> None:
        self.source, self.aim, self.expectation, self.keys, self.random = source, aim, expectation, keys, random
        self.batch_size = batch_size
        self.parts = Parts()
        self.step = 0
        self._rows: Tensor | None = None
        self._part: tuple[Aim, Any] = (aim, None)

    def evaluate(self, adv: Tensor, rows: Tensor) -> Standing:
        """Where ``adv`` (A, ...) stand, the adversarial examples of the samples ``rows`` (A,)."""
        copies, aim = self.expectation.samples, self._aim_at(rows)
        if copies > 1 and self.parts.largest is None:
            self.parts.largest = samples_at_once(copies, adv, self.batch_size)
        number = 0 if self.expectation.draws == "common" else self.step
        draws = self._draws(derive(self.keys[rows], STEP, number), copies, EOT_DRAWS[self.expectation.draws])
        self.step += 1
        n = len(adv)
        found = self.parts.over(n, lambda part: self._evaluate(adv, aim, draws, part))
        gradient, value, scores = (torch.cat(t) if len(found) > 1 else t[0] for t in zip(*found, strict=True))
        fooled, margin = aim[0].judge(scores)
        if copies > 1:
            value, margin = value.view(n, copies).mean(1), margin.view(n, copies).mean(1)
            fooled = fooled.view(n, copies).all(1)
        return Standing(gradient, value, fooled, margin)

    def _aim_at(self, rows: Tensor) -> tuple[Aim, Any]:
        """The aim of ``rows``, each repeated for every draw, and its labels as the source takes them; made once."""
        if self._rows is not rows:
            repeated = rows.repeat_interleave(self.expectation.samples)
            aim = self.aim.take(repeated.to(self.aim.y.device))
            self._rows, self._part = rows, (aim, self.source.labels(aim.y))
        return self._part

    def _evaluate(
        self, adv: Tensor, aim: tuple[Aim, Any], draws: list[Draw], part: slice
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient of some of the samples (a, ...), values and scores of all of their copies."""
        copies, view = self.expectation.samples, self.expectation.view
        wide = slice(part.start * copies, part.stop * copies)
        goal, labels = aim
        leaf = adv[part].detach()
        of_view, of_source = (draws[:1], draws[1:]) if view is not None else ([], draws)
        with torch.enable_grad():
            leaf = leaf.requires_grad_()
            seen = leaf.repeat_interleave(copies, 0) if copies > 1 else leaf
            if view is not None:
                seen = view.randomize(seen, of_view[0][wide])
        found = self._of_copies(seen.detach(), goal, labels, of_source, wide)
        gradient = found.gradient
        if seen is not leaf:
            (gradient,) = torch.autograd.grad(seen, leaf, gradient)
            gradient = gradient / copies
        # The estimator's own loss has no value for each sample; the margin stands in where one is needed.
        value = goal_slice(goal, wide).judge(found.scores)[1] if found.values is None else found.values
        return gradient, value, found.scores

    def _of_copies(self, seen: Tensor, goal: Aim, labels: Any, draws: list[Draw], wide: slice) -> Evaluation:
        """What the source says of the images ``seen``, the rows ``wide`` of all copies, as many at once as allowed."""
        parts = []
        for rows in at_most(len(seen), self.expectation.samples, self.batch_size):
            place = shifted(rows, wide.start)
            objective = partial(values_of_rows, goal, place.start) if goal.has_values else None
            own = [draw[place] for draw in draws]
            parts.append(self.source.evaluate(seen[rows], rows_of_labels(labels, place), goal.sign, objective, own))
        return parts[0] if len(parts) == 1 else joined(parts)

    def _draws(self, keys: Tensor, copies: int = 1, method: str = "uniform") -> list[Draw]:
        """``copies`` draws for each key: for the attack's own view first, then for the estimator's preprocessors."""
        views = ([] if self.expectation.view is None else [self.expectation.view]) + [*self.source.random_preprocessors]
        return [keyed_draws(view.pipeline, derive(keys, k), copies, method) for k, view in enumerate(views)]

    def judge(self, adv: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Which of ``adv`` succeed (A,), and their margins (A,), in full precision.

        Where something is random both come from :data:`AGREEING_DRAWS` draws that no step has seen: all must agree on
        a success, and the margin is their mean.
        """
        aim = self.aim.take(rows.to(self.aim.y.device))
        if not self.random:
            return aim.judge(self.source.scores(adv))
        fooled = torch.ones(len(adv), dtype=torch.bool, device=adv.device)
        total = torch.zeros(len(adv), dtype=torch.float32, device=adv.device)
        for look in range(AGREEING_DRAWS):
            success, margin = aim.judge(self._look(adv, derive(self.keys[rows], JUDGE, self.step, look)))
            fooled &= success
            total += margin
        return fooled, total / AGREEING_DRAWS

    def clean_scores(self, x: Tensor) -> Tensor:
        """Class scores (n, K) of the originals ``x`` (n, ...), where something is random their means."""
        if not self.random:
            return self.source.scores(x).float()
        looks = (self._look(x, derive(self.keys, CLEAN, look)).float() for look in range(AGREEING_DRAWS))
        return sum(looks, torch.zeros((), device=x.device)) / AGREEING_DRAWS

    def _look(self, x: Tensor, keys: Tensor) -> Tensor:
        """Class scores of ``x`` (A, ...) under one draw for each of ``keys`` (A,)."""
        draws, view = self._draws(keys), self.expectation.view
        if view is None:
            return self.source.scores(x, draws)
        with torch.no_grad():
            seen = view.randomize(x, draws[0])
        return self.source.scores(seen, draws[1:])


def samples_at_once(copies: int, x: Tensor, batch_size: int | None) -> int:
    """How many samples to look at together, each in so many copies: what ``batch_size`` and the CPU's cache hold."""
    most = sys.maxsize if batch_size is None else batch_size // copies
    if x.device.type == "cpu":
        most = min(most, CACHE_BYTES // (copies * max(1, x[:1].nbytes)))
    return max(1, most)


def at_most(n: int, copies: int, batch_size: int | None) -> list[slice]:
    """``n`` rows in slices of at most ``batch_size``; of a sample's copies, slices of equal size, which weigh alike."""
    if batch_size is None or n <= batch_size:
        return [slice(0, n)]
    size = max(d for d in range(1, batch_size + 1) if copies % d == 0)
    return [slice(first, first + size) for first in range(0, n, size)]


def values_of_rows(goal: Aim, first: int, scores: Tensor, rows: slice) -> Tensor:
    """What ``goal`` ascends at the scores of some rows, counted from its row ``first``."""
    return goal.values(scores, shifted(rows, first))


def joined(parts: list[Evaluation]) -> Evaluation:
    """Evaluations of consecutive rows as one."""
    values = [part.values for part in parts if part.values is not None]
    return Evaluation(
        torch.cat([part.scores for part in parts]),
        torch.cat(values) if values else None,
        torch.cat([part.gradient for part in parts]),
    )


def rows_of_labels(labels: Any, rows: slice) -> Any:
    """Some rows of what ``Gradients.labels`` returned."""
    return tuple(part[rows] for part in labels) if isinstance(labels, tuple) else labels[rows]


def shifted(rows: slice, by: int) -> slice:
    """A slice further on."""
    return slice(rows.start + by, rows.stop + by)


def goal_slice(aim: Aim, rows: slice) -> Aim:
    """The aim of consecutive samples."""
    return aim.take(torch.arange(rows.start, rows.stop, device=aim.y.device))

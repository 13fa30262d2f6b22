"""Where an attack on the domain moves: draws and pixels of the images of one batch, as one vector for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from art_domainrand.attacks.engine.best import better
from art_domainrand.attacks.engine.evaluator import Assessment, Evaluator
from art_domainrand.core.norms import Ball, per_sample
from art_domainrand.core.straight_through import straight_through
from art_domainrand.estimators import Evaluated, Gradients, Labels, Objective, Through
from art_domainrand.randomization.core.draw import Draw

Randomize = Callable[[Tensor, Draw], Tensor]
"""Images (A, ...) as the model takes them and a draw for each -> the images randomized."""

BallAround = Callable[[Tensor, Tensor], Ball]
"""Images (A, ...) and the samples (A,) they belong to -> the ball of allowed pixels around them."""


class CountingGradients:
    """Another view of ``source`` that counts the images going forward and the gradients coming back."""

    def __init__(self, source: Gradients) -> None:
        self.source = source
        self.device, self.summed = source.device, source.summed
        self.cross_entropy, self.as_predicted = source.cross_entropy, source.as_predicted
        self.forwards = self.backwards = 0

    @property
    def random_preprocessors(self) -> Sequence[Any]:
        return self.source.random_preprocessors

    def labels(self, y: Any) -> Labels:
        return self.source.labels(y)

    def gradient(self, x: Tensor, y: Labels, sign: int) -> Tensor:
        self.forwards += len(x)
        self.backwards += len(x)
        return self.source.gradient(x, y, sign)

    def evaluate(
        self,
        x: Tensor,
        y: Labels,
        sign: int,
        objective: Objective | None = None,
        draws: Sequence[Any] = (),
        through: Through | None = None,
    ) -> Evaluated:
        self.forwards += len(x)
        self.backwards += len(x)
        return self.source.evaluate(x, y, sign, objective, draws, through)

    def scores(self, x: Tensor, draws: Sequence[Any] = ()) -> Tensor:
        self.forwards += len(x)
        return self.source.scores(x, draws)


@dataclass
class DrawPoints:
    """Where each of A samples is: coordinates ``u`` (A, P), ``seeds`` (A,) of pixel fields, change of pixels ``delta``.

    ``delta`` is (A, ...), or None where pixels stay.
    """

    u: Tensor
    seeds: Tensor
    delta: Tensor | None = None

    def copy(self) -> DrawPoints:
        """The same points in tensors of their own."""
        return DrawPoints(self.u.clone(), self.seeds.clone(), None if self.delta is None else self.delta.clone())

    def take(self, index: Tensor) -> DrawPoints:
        """Of the samples ``index``."""
        return DrawPoints(self.u[index], self.seeds[index], None if self.delta is None else self.delta[index])

    def where(self, condition: Tensor, other: DrawPoints) -> DrawPoints:
        """These points for the samples where ``condition`` (A,) holds, else the ``other``."""
        delta = self.delta
        if delta is not None and other.delta is not None:
            delta = torch.where(per_sample(condition, delta), delta, other.delta)
        u = torch.where(condition.unsqueeze(1), self.u, other.u)
        return DrawPoints(u, torch.where(condition, self.seeds, other.seeds), delta)

    def flat(self) -> Tensor:
        """Coordinates and pixels as one vector for each sample."""
        return self.u if self.delta is None else torch.cat([self.u, self.delta.flatten(1)], dim=1)

    def unflat(self, flat: Tensor) -> DrawPoints:
        """The points that are ``flat``, with the seeds of these."""
        if self.delta is None:
            return DrawPoints(flat, self.seeds)
        width = self.u.shape[1]
        return DrawPoints(flat[:, :width], self.seeds, flat[:, width:].reshape(-1, *self.delta.shape[1:]))


@dataclass
class WorstPoints:
    """The worst point of each of n samples so far, whether it ``fooled`` (n,), and its ``margin`` (n,)."""

    points: DrawPoints
    fooled: Tensor
    margin: Tensor

    @classmethod
    def over(cls, points: DrawPoints) -> WorstPoints:
        """Nothing looked at yet."""
        n, device = len(points.u), points.u.device
        return cls(
            points,
            torch.zeros(n, dtype=torch.bool, device=device),
            torch.full((n,), -torch.inf, dtype=torch.float32, device=device),
        )

    def offer(self, rows: Tensor, points: DrawPoints, fooled: Tensor, margin: Tensor, *, drift: bool = False) -> Tensor:
        """Take over what is worse for the samples ``rows`` (A,), a success first, then the larger margin; which is.

        With ``drift`` what is equally bad is taken over as well, though not counted as worse: two gates may have to
        change, one after the other, to make a difference.
        """
        known, before = self.fooled[rows], self.margin[rows]
        worse = better(fooled, margin, known, before) | (before == -torch.inf)
        taken = worse | (fooled == known) & (margin == before) if drift else worse
        chosen = points.where(taken, self.points.take(rows))
        self.points.u[rows], self.points.seeds[rows] = chosen.u, chosen.seeds
        if self.points.delta is not None and chosen.delta is not None:
            self.points.delta[rows] = chosen.delta
        self.margin[rows] = torch.where(worse, margin, before)
        self.fooled[rows] = torch.where(worse, fooled, known)
        return worse

    def take(self, index: Tensor) -> WorstPoints:
        """Of the samples ``index``."""
        return WorstPoints(self.points.take(index), self.fooled[index], self.margin[index])

    def with_pixels(self, x: Tensor) -> WorstPoints:
        """The same points, with pixels like those of ``x`` that may move but have not yet."""
        points = DrawPoints(self.points.u, self.points.seeds, torch.zeros_like(x))
        return WorstPoints(points, self.fooled, self.margin)


class DrawSpace:
    """The images ``x`` (n, ...) of one batch under ``randomize`` (None: seen as they are), judged by an evaluator.

    ``around`` gives the ball in which pixels may move after that; what moves before it is part of ``x``.
    """

    def __init__(self, x: Tensor, randomize: Randomize | None, around: BallAround | None, evaluator: Evaluator) -> None:
        self.x, self.randomize, self.around, self.evaluator = x, randomize, around, evaluator
        self.tainted = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def base(self, points: DrawPoints, rows: Tensor) -> Tensor:
        """The images of the samples ``rows`` (A,) under their draws."""
        x = self.x[rows]
        return x if self.randomize is None else self.randomize(x, Draw(points.u, points.seeds))

    def shown(self, points: DrawPoints, rows: Tensor, *, settle: bool = False) -> Tensor:
        """The images the model is shown; with ``settle`` the perturbed ones are inside their ball to the last bit."""
        with torch.no_grad():
            base = self.base(points, rows)
            if points.delta is None or self.around is None:
                return base
            ball = self.around(base, rows)
            perturbed = ball.project(base + points.delta)
            return ball.settle(perturbed) if settle else perturbed

    def look(self, points: DrawPoints, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Which samples are fooled (A,), and their margins (A,): a forward pass for each of ``eot_samples``."""
        shown = self.shown(points, rows)
        criterion = self.evaluator.criterion.take(rows.to(self.evaluator.criterion.y.device))
        fooled = torch.ones(len(rows), dtype=torch.bool, device=shown.device)
        total = torch.zeros(len(rows), dtype=torch.float32, device=shown.device)
        samples = self.evaluator.expectation.samples
        for scores in self.evaluator.looks(shown, rows, samples):
            success, margin = criterion.judge(scores)
            fooled, total = fooled & success, total + margin
        return fooled, total / samples

    def evaluate(self, points: DrawPoints, rows: Tensor) -> tuple[Assessment, DrawPoints]:
        """What is to be known of the samples, and the gradient in coordinates and pixels, of which NaN counts as 0."""

        def images_of(flat: Tensor, index: Tensor) -> Tensor:
            here, own = points.take(index).unflat(flat), rows[index]
            seen = base = self.base(here, own)
            if here.delta is not None and self.around is not None:
                # The ball passes the gradient on: a pixel that cannot follow is held by the step, not by the slope.
                perturbed = base + here.delta
                inside = self.around(base.detach(), own).project(perturbed.detach())
                seen = straight_through(inside, perturbed)
            return seen if seen.requires_grad else seen + (flat * 0).sum()

        found = self.evaluator.evaluate(points.flat(), rows, images_of)
        self.tainted[rows] |= ~found.gradient.isfinite().all(1)
        return found, points.unflat(found.gradient.nan_to_num(0.0, 0.0, 0.0))

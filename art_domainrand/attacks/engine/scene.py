"""One batch of images seen through a draw and a perturbation: what the model says of it, and where it should move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.evaluator import Assessment, Evaluator, Expectation
from art_domainrand.core.memory import Parts
from art_domainrand.core.norms import Ball, per_sample
from art_domainrand.estimators import Evaluation, Gradients, Labels
from art_domainrand.estimators.protocol import Objective, Through
from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization.core.transform import Draw

BallAround = Callable[[Tensor, Tensor], Ball]
"""Images (A, ...) and the samples (A,) they belong to -> the ball of allowed pixels around them."""


class Counting:
    """Another view of ``source`` that counts the images going forward and the gradients coming back."""

    def __init__(self, source: Gradients) -> None:
        self.source = source
        self.device = source.device
        self.summed = source.summed
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
    ) -> Evaluation:
        self.forwards += len(x)
        self.backwards += len(x)
        return self.source.evaluate(x, y, sign, objective, draws, through)

    def scores(self, x: Tensor, draws: Sequence[Any] = ()) -> Tensor:
        self.forwards += len(x)
        return self.source.scores(x, draws)


@dataclass
class Point:
    """Where each of A samples is: coordinates ``u`` (A, P), ``seeds`` (A,) of pixel fields, change of pixels ``delta``.

    ``delta`` is (A, ...), or None where pixels stay.
    """

    u: Tensor
    seeds: Tensor
    delta: Tensor | None = None

    def copy(self) -> Point:
        """The same point in tensors of its own."""
        return Point(self.u.clone(), self.seeds.clone(), None if self.delta is None else self.delta.clone())

    def take(self, index: Tensor) -> Point:
        """Of the samples ``index``."""
        return Point(self.u[index], self.seeds[index], None if self.delta is None else self.delta[index])

    def where(self, condition: Tensor, other: Point) -> Point:
        """This point for the samples where ``condition`` (A,) holds, else the ``other``."""
        delta = self.delta
        if delta is not None and other.delta is not None:
            delta = torch.where(per_sample(condition, delta), delta, other.delta)
        u = torch.where(condition.unsqueeze(1), self.u, other.u)
        return Point(u, torch.where(condition, self.seeds, other.seeds), delta)

    def flat(self) -> Tensor:
        """Coordinates and pixels as one vector for each sample."""
        return self.u if self.delta is None else torch.cat([self.u, self.delta.flatten(1)], dim=1)

    def unflat(self, flat: Tensor) -> Point:
        """The point that is ``flat``, with the seeds of this one."""
        if self.delta is None:
            return Point(flat, self.seeds)
        width = self.u.shape[1]
        return Point(flat[:, :width], self.seeds, flat[:, width:].reshape(self.delta.shape))


class Scene:
    """The images ``x`` (n, ...) of one batch behind ``view`` (None: seen as they are), and their evaluator.

    ``around`` gives the ball in which pixels may move after the view; what moves before it is part of ``x``.
    """

    def __init__(
        self,
        source: Gradients,
        x: Tensor,
        criterion: Criterion,
        view: DomainRandomization | None,
        around: BallAround | None,
        expectation: Expectation,
        keys: Tensor,
        *,
        random: bool,
        batch_size: int,
    ) -> None:
        self.source, self.x, self.criterion, self.view, self.around = source, x, criterion, view, around
        self.evaluator = Evaluator(source, criterion, expectation, keys, random=random, batch_size=batch_size)
        self.parts = Parts()
        self.tainted = torch.zeros(len(x), dtype=x.dtype, device=x.device)

    def base(self, point: Point, rows: Tensor) -> Tensor:
        """The images of the samples ``rows`` (A,) under the draw of ``point``."""
        return self.x[rows] if self.view is None else self.view.randomize(self.x[rows], Draw(point.u, point.seeds))

    def shown(self, point: Point, rows: Tensor, *, settle: bool = False) -> Tensor:
        """The images the model is shown; with ``settle`` the perturbed ones are inside their ball to the last bit."""
        with torch.no_grad():
            base = self.base(point, rows)
            if point.delta is None or self.around is None:
                return base
            ball = self.around(base, rows)
            perturbed = ball.project(base + point.delta)
            return ball.settle(perturbed) if settle else perturbed

    def look(self, point: Point, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Which samples are fooled (A,), and their margins (A,): a forward pass for each of ``eot_samples``."""
        shown = self.shown(point, rows)
        criterion = self.criterion.take(rows.to(self.criterion.y.device))
        fooled = torch.ones(len(rows), dtype=torch.bool, device=shown.device)
        total = torch.zeros(len(rows), dtype=torch.float32, device=shown.device)
        samples = self.evaluator.expectation.samples
        for _ in range(samples):
            success, margin = criterion.judge(self.source.scores(shown))
            fooled, total = fooled & success, total + margin
        return fooled, total / samples

    def climb(self, point: Point, rows: Tensor) -> tuple[Assessment, Tensor, Tensor]:
        """Where the samples stand, and the gradients in their coordinates (A, P) and in the pixels shown (A, ...)."""
        found = []
        for part in self.parts.over(len(rows)):
            with part as some:
                found.append(self._climb(point, rows, some))
        assessments = [assessment for assessment, _ in found]
        values = (
            torch.cat([getattr(s, name) for s in assessments]) for name in ("gradient", "value", "fooled", "margin")
        )
        assessment, slope = Assessment(*values), torch.cat([slope for _, slope in found])
        self.tainted[rows] += assessment.gradient.flatten(1).sum(1) * 0
        return assessment, slope.nan_to_num(0.0, 0.0, 0.0), assessment.gradient

    def _climb(self, point: Point, rows: Tensor, part: slice) -> tuple[Assessment, Tensor]:
        index = torch.arange(part.start, part.stop, device=rows.device)
        here, rows = point.take(index), rows[part]
        with torch.enable_grad():
            u = here.u.detach().requires_grad_()
            base = self.base(Point(u, here.seeds), rows)
        shown = base.detach()
        if here.delta is not None and self.around is not None:
            shown = self.around(shown, rows).project(shown + here.delta)
        assessment = self.evaluator.evaluate(shown, rows)
        if not base.requires_grad:
            return assessment, torch.zeros_like(u)
        # A pixel that cannot follow, as the clip range holds it, passes its gradient on: the clamp is straight-through.
        (slope,) = torch.autograd.grad(base, u, assessment.gradient.to(base.dtype), allow_unused=True)
        return assessment, torch.zeros_like(u) if slope is None else slope

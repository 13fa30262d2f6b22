"""How a point moves from step to step: the rules of PGD and Auto-PGD, for every sample of a batch on its own."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.attacks.engine.ascent import clean, normalized
from art_domainrand.attacks.engine.oracle import Standing
from art_domainrand.core.norms import Ball, Size, per_sample, rows_of, tensor_of

SCHEDULES = ("constant", "cosine", "halving")
"""PGD's ``step_schedule``."""

# Croce & Hein 2020 (AutoAttack), section 3: how long the first phase is, how much shorter each next one, how short they
# may become, as shares of all steps, and the share of steps in a phase that must have raised the loss.
FIRST_PHASE, SHORTER, SHORTEST = 0.22, 0.03, 0.06
RISES = 0.75


class Steps(ABC):
    """Chooses the next point of every sample in a batch; holds what it must remember of each, in order of the batch."""

    def __init__(self, ball: Ball, mask: Tensor | None) -> None:
        self.ball, self.mask = ball, mask
        self.tainted = torch.zeros(len(ball.x), dtype=ball.x.dtype, device=ball.x.device)

    @abstractmethod
    def next(self, i: int, adv: Tensor, standing: Standing) -> Tensor:
        """The point after step ``i`` = 0, 1, ... from ``adv`` (A, ...), which stands so."""

    def takes_gradient(self, i: int) -> bool:
        """Whether step ``i`` looks at the gradient."""
        return True

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.mask = None if self.mask is None else rows_of_mask(self.mask, self.ball.x, index)
        self.ball, self.tainted = self.ball.take(index), self.tainted[index]

    def clean(self, gradient: Tensor) -> Tensor:
        """A gradient fit to be used, in a tensor of its own."""
        return clean(gradient, self.mask, self.tainted)


class PGDSteps(Steps):
    """Projected steps of a scheduled length along the gradient or, with ``decay``, its accumulation (MI-FGSM)."""

    def __init__(
        self, ball: Ball, mask: Tensor | None, size: Size, max_iter: int, schedule: str, decay: float | None
    ) -> None:
        super().__init__(ball, mask)
        self.size, self.max_iter, self.schedule, self.decay = size, max_iter, schedule, decay
        self.momentum: Tensor | None = None
        self.halving = Halving.over(ball.x, max_iter) if schedule == "halving" else None

    def next(self, i: int, adv: Tensor, standing: Standing) -> Tensor:
        gradient, size = self.clean(standing.gradient), self.size
        if self.schedule == "cosine":
            size = size * cosine(i, self.max_iter)
        if self.halving is not None:
            adv, gradient = self.halving.observe(i, adv, gradient, standing.value)
            size = size * per_sample(self.halving.factor, adv)
        if self.decay is not None:
            unit = normalized(gradient)
            self.momentum = unit if self.momentum is None else self.momentum * self.decay + unit
            gradient = self.momentum.clone()
        return self.ball.ascend(adv, gradient.clone(), size)

    def take(self, index: Tensor) -> None:
        self.size = rows_of(self.size, self.ball.x, index)
        self.momentum = None if self.momentum is None else self.momentum[index]
        if self.halving is not None:
            self.halving.take(index)
        super().take(index)


class GrowingSteps(Steps):
    """From the original along its gradient by ``unit``, 2 ``unit``, ... up to eps: the first that succeeds is kept."""

    def __init__(self, ball: Ball, mask: Tensor | None, unit: Size) -> None:
        super().__init__(ball, mask)
        self.unit = unit
        self.gradient: Tensor | None = None

    def takes_gradient(self, i: int) -> bool:
        return i == 0

    def next(self, i: int, adv: Tensor, standing: Standing) -> Tensor:
        if self.gradient is None:
            self.gradient = self.clean(standing.gradient)
        eps = tensor_of(self.ball.eps, adv, torch.float64)
        size = torch.minimum(tensor_of(self.unit * (i + 1), adv, torch.float64), eps)
        return self.ball.ascend(self.ball.x, self.gradient.clone(), size.to(adv.dtype))

    def take(self, index: Tensor) -> None:
        self.unit = rows_of(self.unit, self.ball.x, index)
        self.gradient = None if self.gradient is None else self.gradient[index]
        super().take(index)


class AutoSteps(Steps):
    """Auto-PGD in L-inf and L2 (Croce & Hein 2020, algorithm 1): steps of 2 eps, halved by rule, with momentum.

    Every point is projected to the nearest one of ball and box; the ``original`` clips first and shrinks then, which in
    L2 gives radius away wherever a pixel is at its end.
    """

    momentum = 0.75

    def __init__(self, ball: Ball, mask: Tensor | None, max_iter: int, *, original: bool = False) -> None:
        super().__init__(ball, mask)
        self.original = original
        self.halving = Halving.over(ball.x, max_iter)
        self.before: Tensor | None = None

    def next(self, i: int, adv: Tensor, standing: Standing) -> Tensor:
        adv, gradient = self.halving.observe(i, adv, self.clean(standing.gradient), standing.value)
        size = as_size(self.ball.eps, adv) * 2 * per_sample(self.halving.factor, adv)
        project = self.ball.project if self.original else self.ball.nearest
        moved = project(self.ball.step(adv, gradient.clone(), size))
        if self.before is not None:
            moved = project(adv + self.momentum * (moved - adv) + (1 - self.momentum) * (adv - self.before))
        self.before = adv
        return moved

    def take(self, index: Tensor) -> None:
        self.before = None if self.before is None else self.before[index]
        self.halving.take(index)
        super().take(index)


class SparseSteps(Steps):
    """Auto-PGD in L1 (Croce & Hein 2021, "Mind the box", algorithm 1): sparse sign steps, of adapted sparsity.

    Every step moves the entries of largest gradient, as many as a share ``density`` of all features, by equal amounts.
    At checkpoints the density becomes the share of pixels changed so far over 1.5, and where the number of changed
    pixels fell by 5% or more the step returns to its full length and the sample to its best point; elsewhere the step
    is divided by 1.5, down to a tenth.

    Only entries that can still move count, since one at its end, whose gradient points out of the box, would take its
    share of a step to no effect; the ``original`` counts them all.
    """

    period_share, first_density, densities, shrink, smallest, fell = 0.04, 0.2, 1.5, 1.5, 0.1, 0.95

    def __init__(
        self, ball: Ball, mask: Tensor | None, max_iter: int, *, warm: bool = False, original: bool = False
    ) -> None:
        super().__init__(ball, mask)
        self.original = original
        n = len(ball.x)
        self.period = max(int(self.period_share * max_iter), 1)
        self.features = ball.x[0].numel()
        self.density = torch.full((n,), self.first_density, dtype=torch.float32, device=ball.x.device)
        self.changed = torch.full((n,), float(self.features), dtype=torch.float32, device=ball.x.device)
        self.factor = torch.ones(n, dtype=torch.float32, device=ball.x.device)
        self.best = Best.over(ball.x)
        self.warm = warm

    def next(self, i: int, adv: Tensor, standing: Standing) -> Tensor:
        gradient = self.clean(standing.gradient)
        if self.warm and i == 0:
            self.changed = self.changed_pixels(adv)
            self.density = self.changed / self.features / self.densities
        self.best.observe(adv, gradient, standing.value)
        if i and i % self.period == 0:
            adv, gradient = self.adapt(adv, gradient)
        sign = self.sparse(gradient if self.original else gradient * (self.ball.room(adv, gradient) > 0)).sign()
        length = per_sample(sign.abs().flatten(1).sum(1), sign) + 1e-10
        size = as_size(self.ball.eps, adv) * per_sample(self.factor, adv)
        return self.ball.project(adv + (size / length).to(adv.dtype) * sign)

    def adapt(self, adv: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Choose density and step length anew; samples whose change became sparser go back to their best point."""
        changed = self.changed_pixels(self.best.adv)
        sparser = changed / self.changed < self.fell
        self.density = changed / self.features / self.densities
        self.factor = torch.where(sparser, 1.0, self.factor / self.shrink).clamp(self.smallest, 1.0)
        self.changed = changed
        back = per_sample(sparser, adv)
        return torch.where(back, self.best.adv, adv), torch.where(back, self.best.gradient, gradient)

    def changed_pixels(self, adv: Tensor) -> Tensor:
        """How many entries of every sample differ from the original, (A,)."""
        return (adv != self.ball.x).flatten(1).sum(1).float()

    def sparse(self, gradient: Tensor) -> Tensor:
        """Keep the entries of ``gradient`` whose magnitude is among the largest."""
        size = gradient.abs().flatten(1)
        first = ((1 - self.density) * self.features).clamp(0, self.features - 1).long()
        least = size.sort(dim=1).values.gather(1, first.unsqueeze(1))
        return gradient * (gradient.abs() >= per_sample(least.squeeze(1), gradient))

    def take(self, index: Tensor) -> None:
        self.density, self.changed, self.factor = self.density[index], self.changed[index], self.factor[index]
        self.best.take(index)
        super().take(index)


class SettlingSteps(SparseSteps):
    """Sparse steps, and at the end steepest steps from the best point, whose length falls to nothing.

    A sparse step moves its entries by equal amounts, never by less than a tenth of the radius in all, and so ends near
    the best allotment of the radius but not at it. The steepest step fills the entries of largest gradient.
    """

    longest = 0.25

    def __init__(self, ball: Ball, mask: Tensor | None, sparse: int, settling: int, *, warm: bool = False) -> None:
        super().__init__(ball, mask, sparse, warm=warm)
        self.sparse_steps, self.settling = sparse, settling

    def next(self, i: int, adv: Tensor, standing: Standing) -> Tensor:
        if i < self.sparse_steps:
            return super().next(i, adv, standing)
        gradient = self.clean(standing.gradient)
        if i == self.sparse_steps:
            self.best.observe(adv, gradient, standing.value)
            adv, gradient = self.best.adv, self.best.gradient
        share = cosine(i - self.sparse_steps, self.settling)
        return self.ball.ascend(adv, gradient.clone(), as_size(self.ball.eps, adv) * self.longest * share)


@dataclass
class Best:
    """The point of highest value that every sample has met, its gradient, and the value."""

    adv: Tensor
    gradient: Tensor
    value: Tensor

    @classmethod
    def over(cls, x: Tensor) -> "Best":
        """Nothing met yet."""
        return cls(x, torch.zeros_like(x), torch.full((len(x),), -torch.inf, dtype=torch.float32, device=x.device))

    def observe(self, adv: Tensor, gradient: Tensor, value: Tensor) -> None:
        """Keep what is better than before; NaN never is."""
        better = value > self.value
        wide = per_sample(better, adv)
        self.adv, self.gradient = torch.where(wide, adv, self.adv), torch.where(wide, gradient, self.gradient)
        self.value = torch.where(better, value, self.value)

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.adv, self.gradient, self.value = self.adv[index], self.gradient[index], self.value[index]


class Halving:
    """The step size rule of Auto-PGD (Croce & Hein 2020, section 3.1): ``factor`` (A,) starts at one and is halved.

    At a checkpoint it is halved for samples whose loss rose in no more than 75% of the steps since the last one
    (condition 1, where equality counts as in the authors' code, not as in the paper), or whose best loss has not
    changed since although the step was not halved then either (condition 2). These samples go back to their best point.
    """

    def __init__(self, best: Best, max_iter: int) -> None:
        device, n = best.value.device, len(best.value)
        self.best = best
        self.factor = torch.ones(n, dtype=torch.float32, device=device)
        self.period = max(int(FIRST_PHASE * max_iter), 1)
        self.shorter, self.shortest = max(int(SHORTER * max_iter), 1), max(int(SHORTEST * max_iter), 1)
        self.since = 0
        self.rises = torch.zeros(n, dtype=torch.float32, device=device)
        self.last: Tensor = torch.full((n,), torch.inf, dtype=torch.float32, device=device)
        self.best_then: Tensor = torch.full((n,), -torch.inf, dtype=torch.float32, device=device)
        self.halved_then = torch.ones(n, dtype=torch.bool, device=device)

    @classmethod
    def over(cls, x: Tensor, max_iter: int) -> "Halving":
        """The rule for the samples ``x`` (A, ...) and this many steps."""
        return cls(Best.over(x), max_iter)

    def observe(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Note the value at ``adv`` after ``i`` steps; return point and gradient to go on from."""
        self.best.observe(adv, gradient, value)
        if i == 0:
            self.last, self.best_then = value, self.best.value
            return adv, gradient
        self.rises = self.rises + (value > self.last)
        self.last = value
        self.since += 1
        if self.since < self.period:
            return adv, gradient
        stalls = ~self.halved_then & (self.best_then >= self.best.value)
        halve = (self.rises <= RISES * self.period) | stalls
        self.factor = torch.where(halve, self.factor / 2, self.factor)
        self.halved_then, self.best_then = halve, self.best.value
        self.rises = torch.zeros_like(self.rises)
        self.since, self.period = 0, max(self.period - self.shorter, self.shortest)
        back = per_sample(halve, adv)
        return torch.where(back, self.best.adv, adv), torch.where(back, self.best.gradient, gradient)

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.best.take(index)
        self.factor, self.rises, self.last = self.factor[index], self.rises[index], self.last[index]
        self.best_then, self.halved_then = self.best_then[index], self.halved_then[index]


def cosine(i: int, steps: int) -> float:
    """How long step ``i`` of so many is, as a share of the first (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 + 0.5 * math.cos(math.pi * i / steps)


def as_size(size: Size, like: Tensor) -> Size:
    """A radius in the type of the images; a plain number stays one."""
    return size.to(like.dtype) if isinstance(size, Tensor) else size


def rows_of_mask(mask: Tensor, like: Tensor, index: Tensor) -> Tensor:
    """The mask of some samples; one that holds for every sample stays as it is."""
    rows = rows_of(mask, like, index)
    assert isinstance(rows, Tensor)
    return rows

"""Auto-PGD's rules: steps of twice the radius, halved where the loss no longer rises, with momentum."""

from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import PGDSteps, StepRule, as_size
from art_domainrand.core.norms import Ball, Size, per_sample

# Croce & Hein 2020 (AutoAttack), section 3: how long the first phase is, how much shorter each next one, how short they
# may become, as shares of all steps, and the share of steps in a phase that must have raised the loss.
FIRST_PHASE, SHORTER, SHORTEST = 0.22, 0.03, 0.06
RISES = 0.75


class HalvingSteps(PGDSteps):
    """PGD's steps, whose length Auto-PGD's rule halves."""

    def __init__(
        self, ball: Ball, mask: Tensor | None, size: Size, max_iter: int, *, decay: float | None = None
    ) -> None:
        super().__init__(ball, mask, size, decay=decay)
        self.halving = Halving.over(ball.x, max_iter)

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        adv, gradient = self.halving.observe(i, adv, self.clean(gradient), value)
        return self.step(adv, gradient, self.size * per_sample(self.halving.factor, adv))

    def take(self, index: Tensor) -> None:
        self.halving.take(index)
        super().take(index)


class AutoSteps(StepRule):
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

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        adv, gradient = self.halving.observe(i, adv, self.clean(gradient), value)
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


@dataclass
class BestPoint:
    """The point of highest value that every sample has met, its gradient, and the value."""

    adv: Tensor
    gradient: Tensor
    value: Tensor

    @classmethod
    def over(cls, x: Tensor) -> "BestPoint":
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

    def __init__(self, best: BestPoint, max_iter: int) -> None:
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
        return cls(BestPoint.over(x), max_iter)

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

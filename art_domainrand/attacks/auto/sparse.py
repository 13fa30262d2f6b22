"""Auto-PGD's rule in L1: steps along the signs of few entries."""

import torch
from torch import Tensor

from art_domainrand.attacks.auto.autopgd import BestPoint
from art_domainrand.attacks.engine.steps import StepRule, as_size, cosine
from art_domainrand.core.norms import Ball, per_sample


class SparseSteps(StepRule):
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
        self.best = BestPoint.over(ball.x)
        self.warm = warm

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        gradient = self.clean(gradient)
        if self.warm and i == 0:
            self.changed = self.changed_pixels(adv)
            self.density = self.changed / self.features / self.densities
        self.best.observe(adv, gradient, value)
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

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        if i < self.sparse_steps:
            return super().next(i, adv, gradient, value)
        gradient = self.clean(gradient)
        if i == self.sparse_steps:
            self.best.observe(adv, gradient, value)
            adv, gradient = self.best.adv, self.best.gradient
        share = cosine(i - self.sparse_steps, self.settling)
        return self.ball.ascend(adv, gradient.clone(), as_size(self.ball.eps, adv) * self.longest * share)

"""How a point moves from step to step: the rules of PGD and of minimal FGSM, for every sample of a batch on its own."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from art_domainrand.core.norms import Ball, Size, in_range, lp_norm, rows_of, tensor_of

# 0.3 / 0.1 is a little more than 3 in floating point, which must not cost a fourth step.
STEP_SLACK = 1e-6


class StepRule(ABC):
    """Chooses the next point of every sample in a batch; holds what it must remember of each, in order of the batch."""

    def __init__(self, ball: Ball, mask: Tensor | None) -> None:
        self.ball, self.mask = ball, mask
        self.tainted = torch.zeros(len(ball.x), dtype=ball.x.dtype, device=ball.x.device)

    @abstractmethod
    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        """The point after step ``i`` = 0, 1, ... from ``adv`` (A, ...), by gradient and value (A,) there."""

    def takes_gradient(self, i: int) -> bool:
        """Whether step ``i`` looks at the gradient."""
        return True

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.mask = None if self.mask is None else rows_of_mask(self.mask, self.ball.x, index)
        self.ball, self.tainted = self.ball.take(index), self.tainted[index]

    def clean(self, gradient: Tensor) -> Tensor:
        """A gradient fit to be used, in a tensor of its own."""
        return usable(gradient, self.mask, self.tainted)


class PGDSteps(StepRule):
    """Projected steps along the gradient (Madry et al. 2018, equation 4), of constant length or ending in nothing.

    With ``decay`` gradients are L1-normalized and accumulated first (Dong et al. 2018, MI-FGSM). ``cosine_over`` is how
    many steps a cosine takes from full length to none.
    """

    def __init__(
        self, ball: Ball, mask: Tensor | None, size: Size, *, decay: float | None = None, cosine_over: int | None = None
    ) -> None:
        super().__init__(ball, mask)
        self.size, self.decay, self.cosine_over = size, decay, cosine_over
        self.momentum: Tensor | None = None

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        share = 1.0 if self.cosine_over is None else cosine(i, self.cosine_over)
        return self.step(adv, self.clean(gradient), self.size if share == 1 else self.size * share)

    def step(self, adv: Tensor, gradient: Tensor, size: Size) -> Tensor:
        """One step of length ``size`` along a clean gradient, which is overwritten."""
        if self.decay is not None:
            unit = normalized(gradient)
            self.momentum = unit if self.momentum is None else self.momentum * self.decay + unit
            gradient = self.momentum.clone()
        return self.ball.ascend(adv, gradient, size)

    def take(self, index: Tensor) -> None:
        self.size = rows_of(self.size, self.ball.x, index)
        self.momentum = None if self.momentum is None else self.momentum[index]
        super().take(index)


class GrowingSteps(StepRule):
    """From the original along its gradient by ``unit``, 2 ``unit``, ... up to eps: the first that succeeds is kept."""

    def __init__(self, ball: Ball, mask: Tensor | None, unit: Size) -> None:
        super().__init__(ball, mask)
        self.unit = unit
        self.gradient: Tensor | None = None

    def takes_gradient(self, i: int) -> bool:
        return i == 0

    def next(self, i: int, adv: Tensor, gradient: Tensor, value: Tensor) -> Tensor:
        if self.gradient is None:
            self.gradient = self.clean(gradient)
        eps = tensor_of(self.ball.eps, adv, torch.float64)
        size = torch.minimum(tensor_of(self.unit * (i + 1), adv, torch.float64), eps)
        return self.ball.ascend(self.ball.x, self.gradient.clone(), size.to(adv.dtype))

    def take(self, index: Tensor) -> None:
        self.unit = rows_of(self.unit, self.ball.x, index)
        self.gradient = None if self.gradient is None else self.gradient[index]
        super().take(index)


def whole_steps(eps: Size, unit: Size) -> int:
    """How many steps of ``unit`` the sample that takes the most of them needs to reach ``eps``."""
    radius = torch.as_tensor(eps, dtype=torch.float64)
    return int(torch.ceil(radius / (unit.to(radius.device) if isinstance(unit, Tensor) else unit) - STEP_SLACK).max())


def usable(grad: Tensor, mask: Tensor | None, tainted: Tensor) -> Tensor:
    """Return a fresh gradient: NaN counts as zero, infinity as the largest number, zero where ``mask`` is.

    Samples whose gradient is not finite are marked in ``tainted``. Fresh, because autograd may return a view, or a
    tensor that somebody keeps, and the steps work in place. 0 times the largest entry is zero for finite gradients and
    NaN otherwise: two small kernels instead of a pass of comparisons.
    """
    tainted.add_(lp_norm(grad, torch.inf).flatten(), alpha=0.0)
    grad = torch.nan_to_num(grad, nan=0.0)
    return grad if mask is None else grad.masked_fill_(mask == 0, 0.0)


def normalized(grad: Tensor) -> Tensor:
    """Divide every sample's gradient by its L1 norm; a zero gradient stays zero."""
    grad = in_range(grad)
    length = lp_norm(grad, 1)
    return grad / torch.where(length > 0, length, torch.inf)


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

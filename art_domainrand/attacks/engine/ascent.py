"""The gradient loop: one pure function behind FGSM (one step) and PGD (many)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.core.norms import Ball, Size, in_range, lp_norm, per_sample, tensor_of

GradientAt = Callable[[Tensor], Tensor]
Observe = Callable[[int, Tensor, Tensor], None]

# 0.3 / 0.1 is a little more than 3 in floating point, which must not cost a fourth step.
STEP_SLACK = 1e-6


@dataclass(frozen=True)
class Ascent:
    """Where a batch ended: ``adv`` (B, ...), and ``tainted`` (B,), NaN for samples that met a non-finite gradient."""

    adv: Tensor
    tainted: Tensor


def ascend(
    gradient: GradientAt,
    ball: Ball,
    start: Tensor,
    size: Size,
    max_iter: int,
    mask: Tensor | None = None,
    decay: float | None = None,
    observe: Observe | None = None,
) -> Ascent:
    """Climb ``max_iter`` projected steps of length ``size`` from ``start`` (Madry et al. 2018, equation 4).

    ``mask`` broadcasts to the batch and is zero where pixels must stay. With
    ``decay`` the gradients are L1-normalized and accumulated first (Dong et al. 2018, MI-FGSM). NaN entries of a
    gradient count as zero. Nothing here waits for the device.
    """
    adv = start
    tainted = torch.zeros(len(start), dtype=start.dtype, device=start.device)
    momentum: Tensor | None = None
    for i in range(max_iter):
        grad = gradient(adv)
        if observe is not None:
            observe(i, grad, adv)
        grad = clean(grad, mask, tainted)
        if decay is not None:
            unit = normalized(grad)
            momentum = unit if momentum is None else momentum.mul_(decay).add_(unit)
            grad = momentum.clone()
        adv = ball.ascend(adv, grad, size)
    return Ascent(ball.settle(adv), tainted)


def smallest_step(
    gradient: GradientAt,
    succeeds: Callable[[Tensor], Tensor],
    ball: Ball,
    unit: Size,
    mask: Tensor | None = None,
    observe: Observe | None = None,
) -> Ascent:
    """Per sample the first of the steps ``unit, 2 unit, ..., eps`` along the gradient at ``ball.x`` that succeeds.

    ``succeeds(adv)`` returns (B,) booleans. Samples for which no step succeeds get the last, of the whole ``eps``.
    """
    x, eps = ball.x, tensor_of(ball.eps, ball.x, torch.float64)
    tainted = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    grad = gradient(x)
    if observe is not None:
        observe(0, grad, x)
    grad = clean(grad, mask, tainted)
    steps = whole_steps(eps, unit)
    adv, unbroken = x, torch.ones(len(x), dtype=torch.bool, device=x.device)
    for k in range(1, steps + 1):
        size = torch.minimum(tensor_of(unit * k, x, torch.float64), eps).to(x.dtype)
        adv = torch.where(per_sample(unbroken, x), ball.ascend(x, grad.clone(), size), adv)
        unbroken = unbroken & ~succeeds(adv)
        if not unbroken.any():
            break
    return Ascent(ball.settle(adv), tainted)


def whole_steps(eps: Size, unit: Size) -> int:
    """How many steps of ``unit`` the sample that takes the most of them needs to reach ``eps``."""
    radius = torch.as_tensor(eps, dtype=torch.float64)
    return int(torch.ceil(radius / (unit.to(radius.device) if isinstance(unit, Tensor) else unit) - STEP_SLACK).max())


def clean(grad: Tensor, mask: Tensor | None, tainted: Tensor) -> Tensor:
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

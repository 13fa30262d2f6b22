"""The point of a ball and the box that a linear function likes best: in closed form for every norm."""

import torch
from torch import Tensor

from art_domainrand.attacks.minimum.problem import LEAST_LENGTH, Problem, length
from art_domainrand.core.norms import NEWTON_STEPS, per_sample


def best_within(problem: Problem, gradient: Tensor, radius: Tensor) -> Tensor:
    """The change ``d`` (A, ...) within ``radius`` (A,) and the box that maximizes ``<gradient, d>``.

    L-inf: every entry by the radius; L2: along the gradient, cut at the box, by the factor that spends the radius; L1
    and L0: the entries of largest gradient, or gain, until the radius is spent.
    """
    room = problem.room(gradient)
    if problem.norm == torch.inf:
        return torch.minimum(room, per_sample(radius, room)) * gradient.sign()
    if problem.norm == 2:
        return cut_along(gradient, room, radius)
    rows, free = gradient.flatten(1), room.flatten(1)
    free = torch.where(rows == 0, 0.0, free)
    gain = rows.abs() if problem.norm == 1 else rows.abs() * free
    order = gain.argsort(dim=1, descending=True, stable=True)
    free = free.gather(1, order)
    if problem.norm == 1:
        before = torch.nn.functional.pad(free.cumsum(1)[:, :-1], (1, 0))
        spent = torch.minimum(free, (radius.unsqueeze(1) - before).clamp_min(0))
    else:
        spent = torch.where(torch.arange(free.shape[1], device=free.device) < radius.unsqueeze(1), free, 0.0)
    size = torch.zeros_like(spent).scatter_(1, order, spent)
    return size.reshape(gradient.shape) * gradient.sign()


def cut_along(direction: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """``min(t |direction|, room)`` in size, with the largest t whose L2 norm meets the ``radius``.

    The squared norm is concave and piecewise linear in t^2, so Newton's method from below ends at its root.
    """
    unit = direction / per_sample(length(direction, torch.inf).clamp_min(LEAST_LENGTH), direction)
    rows, wide = unit.flatten(1), radius.unsqueeze(1).clamp_min(LEAST_LENGTH)
    slope, full = rows.square(), (room.flatten(1) / wide).square()
    share = torch.zeros_like(wide)
    for _ in range(NEWTON_STEPS):
        moving = slope * share < full
        rate = torch.where(moving, slope, 0.0).sum(1, keepdim=True)
        spent = torch.where(moving, slope * share, full).sum(1, keepdim=True)
        share = share + torch.where(rate > 0, (1 - spent).clamp_min(0) / rate, 0.0)
    size = torch.minimum(rows.abs() * share.sqrt() * wide, room.flatten(1))
    return size.reshape(direction.shape) * direction.sign()

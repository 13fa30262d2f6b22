"""Lp balls cut with the box of valid pixels: steepest steps, projections and uniform starts.

A :class:`Ball` belongs to one batch of images. Every tensor is (B, ...); ``eps`` and step sizes are a number, or a
tensor that broadcasts against the batch (one value per sample, or, for L-inf, per feature). All loops here ascend.
"""

from abc import ABC, abstractmethod
from copy import copy

import torch
from torch import Tensor

Size = float | Tensor  # a number for the whole batch, or a tensor that broadcasts against it


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Shape (B,) values so that they broadcast against the (B, ...) tensor ``like``."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def rows_of(size: Size, like: Tensor, index: Tensor) -> Size:
    """The sizes of the samples ``index`` of the batch ``like``; one that holds for the whole batch stays as it is."""
    if not isinstance(size, Tensor) or size.dim() < like.dim() or size.shape[0] != like.shape[0]:
        return size
    return size[index]


def tensor_of(size: Size, like: Tensor, dtype: torch.dtype) -> Tensor:
    """A size as a tensor on the device of ``like``; a number is written there, not copied, so that nobody waits."""
    if isinstance(size, Tensor):
        return size.to(like.device, dtype)
    return torch.full((), size, dtype=dtype, device=like.device)


def power_of_two(exponent: Tensor, like: Tensor) -> Tensor:
    """Two to the power of whole numbers, in the type of ``like``; of integers torch 2.6 makes the default type."""
    return torch.ldexp(torch.ones_like(like), exponent.to(like.dtype))


def lp_norm(x: Tensor, p: float) -> Tensor:
    """Lp norm of every sample, shaped (B, 1, ...) to broadcast against ``x``.

    Powers of small entries underflow (gradients of 1e-30 in L2, of 1e-4 in L11), so each sample is scaled by a power of
    two near its largest entry. That is exact, and for p = 2 does not change a bit; elsewhere it serves where it must.
    """
    rows = x.flatten(1)
    if p in (1, torch.inf) or rows.shape[1] == 0:
        return per_sample(torch.linalg.vector_norm(rows, ord=p, dim=1), x)
    largest = rows.abs().amax(1)
    scale = power_of_two(torch.frexp(largest).exponent - 1, largest)
    scale = torch.where((scale > 0) & scale.isfinite(), scale, 1.0)
    length = torch.linalg.vector_norm(rows / scale.unsqueeze(1), ord=p, dim=1) * scale
    if p != 2:
        plain = torch.linalg.vector_norm(rows, ord=p, dim=1)
        underflow = (plain - length).abs() > 1e-3 * length
        length = torch.where(underflow, length, plain)
    return per_sample(length, x)


# How often Newton's method is applied to a piecewise linear function, whose root it reaches exactly.
NEWTON_STEPS = 8

# Gradients whose largest entry lies outside are scaled first: inside no norm and no reciprocal over- or underflows.
ORDINARY = (2.0**-60, 2.0**60)


def in_range(grad: Tensor) -> Tensor:
    """``grad`` with each sample's entries scaled by a power of two where its largest is far from one; zero stays zero.

    The reciprocal of a subnormal norm is infinite, and so is the norm of entries near the end of float32. Scaling by a
    power of two is exact, and an ordinary gradient stays as it is to the last bit. Only directions may be taken of it.
    """
    if grad.numel() == 0:
        return grad
    largest = grad.abs().flatten(1).amax(1)
    exponent = torch.frexp(largest).exponent
    strange = (largest < ORDINARY[0]) | (largest > ORDINARY[1])
    half = torch.where(strange, -exponent, 0) // 2  # in two steps, since 2^149 itself is infinite in float32
    first = power_of_two(half, largest)
    second = power_of_two(torch.where(strange, -exponent, 0) - half, largest)
    return grad * per_sample(first, grad) * per_sample(second, grad)


def add_within(x: Tensor, delta: Size) -> Tensor:
    """Return the float next to ``x + delta`` whose exact distance from ``x`` does not exceed ``|delta|``.

    Rounding ``x + delta`` to float32 can land outside the ball by half a unit in the last place; those entries step one
    float towards ``x``. ``delta`` is in float64 (a number or a tensor), the result has the type of ``x``.
    """
    exact = x.double()
    moved = (exact + delta).to(x.dtype)
    distance = (moved.double() - exact).abs_()
    outside = distance > (delta.abs() if isinstance(delta, Tensor) else abs(delta))
    return torch.where(outside, torch.nextafter(moved, x), moved)


class Ball(ABC):
    """The points within ``eps`` of ``x`` (B, ...) in one norm and inside the box ``[low, high]`` (None: no box)."""

    norm: float

    def __init__(self, x: Tensor, eps: Size, low: Tensor | None, high: Tensor | None) -> None:
        self.x, self.eps, self.low, self.high = x, eps, low, high

    def clip(self, adv: Tensor) -> Tensor:
        """Clip to the box of valid pixels."""
        return adv if self.low is None else torch.clamp(adv, self.low, self.high)

    def room(self, adv: Tensor, direction: Tensor) -> Tensor:
        """How far each entry may move along the sign of ``direction`` before it leaves the box."""
        if self.low is None or self.high is None:
            return torch.full_like(adv, torch.inf)
        return torch.where(direction > 0, self.high - adv, adv - self.low).clamp_min_(0)

    def start(self, noise: Tensor) -> Tensor:
        """Return ``x + noise``, clipped to the box; ``noise`` lies in the ball of radius ``eps`` around zero."""
        return self.clip(self.x + noise)

    def origin(self) -> Tensor:
        """Where an attack without a random start begins."""
        return self.x

    def take(self, index: Tensor) -> "Ball":
        """The ball of some of the samples, (A,) indices into the batch."""
        part = copy(self)
        part.eps, part.x = rows_of(self.eps, self.x, index), self.x[index]
        return part

    @abstractmethod
    def project(self, adv: Tensor) -> Tensor:
        """Return a point of ball and box: the nearest in L-inf and L1; elsewhere clipped first, then shrunk."""

    def ascend(self, adv: Tensor, grad: Tensor, size: Size) -> Tensor:
        """Take the steepest step of length ``size`` along ``grad`` and project it back; may overwrite ``grad``."""
        return self.project(self.step(adv, grad, size))

    @abstractmethod
    def step(self, adv: Tensor, grad: Tensor, size: Size) -> Tensor:
        """The end of the steepest step of length ``size`` along ``grad``, not projected; may overwrite ``grad``."""

    def nearest(self, adv: Tensor) -> Tensor:
        """Like :meth:`project`, without giving away radius where the box cuts the ball."""
        return self.project(adv)

    def settle(self, adv: Tensor) -> Tensor:
        """Make ``|adv - x| <= eps`` exact in float64; a sample that is not finite throughout goes back to ``x``."""
        finite = per_sample(adv.isfinite().flatten(1).all(1), adv)
        return self.exact(torch.where(finite, adv, self.x))

    def exact(self, adv: Tensor) -> Tensor:
        """Shrink what exceeds ``eps`` in float64, then round towards ``x``."""
        delta = adv.double() - self.x.double()
        length = lp_norm(delta, self.norm)
        shrink = torch.where(length > self.eps, self.eps / length.clamp_min(torch.finfo(torch.float64).tiny), 1.0)
        return self.clip(add_within(self.x, delta * shrink))


class Linf(Ball):
    """L-inf ball: the two bounds are computed once, so a step is sign, add, clamp."""

    norm = torch.inf

    def __init__(self, x: Tensor, eps: Size, low: Tensor | None, high: Tensor | None) -> None:
        super().__init__(x, eps, low, high)
        self.lower, self.upper = add_within(x, -eps), add_within(x, eps)
        if low is not None and high is not None:
            self.lower, self.upper = torch.maximum(self.lower, low), torch.minimum(self.upper, high)

    def take(self, index: Tensor) -> Ball:
        part = super().take(index)
        part.lower, part.upper = self.lower[index], self.upper[index]  # type: ignore[attr-defined]
        return part

    def project(self, adv: Tensor) -> Tensor:
        return torch.clamp(adv, self.lower, self.upper)

    def step(self, adv: Tensor, grad: Tensor, size: Size) -> Tensor:
        """Step by ``size`` times the sign of the gradient (Goodfellow et al. 2015, section 4)."""
        return step_along(adv, grad.sign_(), size)

    def exact(self, adv: Tensor) -> Tensor:
        """Return ``adv``: its bounds are exact already."""
        return self.project(adv)


class Lp(Ball):
    """Lp ball for 1 < p < inf; like ART's, its projection rescales: exact for p = 2, feasible for every p."""

    def __init__(self, x: Tensor, eps: Size, low: Tensor | None, high: Tensor | None, norm: float = 2.0) -> None:
        super().__init__(x, eps, low, high)
        self.norm = norm

    def step(self, adv: Tensor, grad: Tensor, size: Size) -> Tensor:
        """Step along the direction ``d`` with ``|d|_p = 1`` that maximizes ``<grad, d>``."""
        conjugate = self.norm / (self.norm - 1)
        grad = in_range(grad)
        # The order of operations is ART's: fractional powers of tiny gradients magnify a difference in the last bit.
        length = lp_norm(grad, conjugate)
        unit = grad * torch.where(length > 0, 1 / length, 0.0)
        if self.norm != 2:
            unit = unit.abs() ** (conjugate - 1) * grad.sign()
        return adv + size * unit

    def project(self, adv: Tensor) -> Tensor:
        """Clip to the box, then shrink towards ``x``."""
        delta = self.clip(adv) - self.x
        length = lp_norm(delta, self.norm).double()
        shrink = (self.eps / length.clamp_min(torch.finfo(torch.float64).tiny)).clamp(max=1)
        return self.x + (delta * shrink).to(delta.dtype)

    def nearest(self, adv: Tensor) -> Tensor:
        """Scale the way from ``x`` to ``adv``, then clip: for p = 2 the nearest point of ball and box.

        It is ``clip(x + t (adv - x))`` with the largest t <= 1 that meets the radius (the optimality conditions of the
        projection for p = 2; for other p a point of the same form). As a function of t^p the norm^p is concave and
        piecewise linear, so Newton's method from below ends at its root after a few steps, and stays inside on the way.
        """
        delta = adv - self.x
        power = (delta.abs().flatten(1) / self._unit(adv)) ** self.norm
        free = (self.room(self.x, delta).flatten(1) / self._unit(adv)) ** self.norm
        share = torch.zeros_like(power[:, :1])
        for _ in range(NEWTON_STEPS):
            moving = power * share < free
            slope = (power * moving).sum(1, keepdim=True)
            length = torch.where(moving, power * share, free).sum(1, keepdim=True)
            share = share + torch.where(slope > 0, (1 - length).clamp_min(0) / slope, 0.0)
        scale = per_sample(share.clamp(max=1).pow(1 / self.norm).squeeze(1), adv)
        return self.clip(self.x + delta * scale)

    def _unit(self, like: Tensor) -> Tensor:
        """The radius as (B or 1, 1), never zero."""
        return tensor_of(self.eps, like, like.dtype).reshape(-1, 1).clamp_min(torch.finfo(like.dtype).tiny)


class L1(Ball):
    """L1 ball cut with the box: steepest step and Euclidean projection onto the intersection, both exact.

    A single coordinate is the steepest L1 step only without a box; inside one, the budget flows on to the next largest
    gradient as soon as a pixel is full (Croce & Hein 2021, "Mind the box", sections 2 and 3).
    """

    norm = 1.0

    def step(self, adv: Tensor, grad: Tensor, size: Size) -> Tensor:
        """Fill the entries of largest gradient until ``size`` is spent."""
        order = grad.abs().flatten(1).argsort(dim=1, descending=True, stable=True)
        room = self.room(adv, grad).flatten(1).gather(1, order)
        before = torch.nn.functional.pad(room.cumsum(1)[:, :-1], (1, 0))
        budget = tensor_of(size, adv, adv.dtype).reshape(-1, 1)
        spent = torch.minimum(room, (budget - before).clamp_min(0))
        step = torch.zeros_like(spent).scatter_(1, order, spent).reshape(adv.shape) * grad.sign()
        return adv + step

    def project(self, adv: Tensor) -> Tensor:
        """The nearest point of the intersection of ball and box, exactly."""
        delta = adv - self.x
        return self.clip(self.x + project_l1_box(delta, self.eps, self.room(self.x, delta)))


def step_along(adv: Tensor, direction: Tensor, size: Size) -> Tensor:
    """Return ``adv + size * direction`` without an extra temporary for plain numbers."""
    return torch.addcmul(adv, direction, size) if isinstance(size, Tensor) else torch.add(adv, direction, alpha=size)


def project_l1_box(delta: Tensor, eps: Size, room: Tensor) -> Tensor:
    """Project ``delta`` (B, ...) onto ``{d : |d|_1 <= eps, 0 <= sign(delta) d <= room}`` in the Euclidean norm.

    The solution is ``sign(delta) * clip(|delta| - t, 0, room)`` with the smallest ``t >= 0`` that meets the budget. Its
    L1 norm is piecewise linear and falling in ``t`` with kinks at ``|delta| - room`` and ``|delta|``, so sorting the
    kinks finds ``t`` exactly (the argument of Duchi et al. 2008, figure 1, with an upper bound).
    """
    magnitude, room = delta.abs().flatten(1).double(), room.flatten(1).double()
    budget = tensor_of(eps, delta, torch.float64).reshape(-1, 1).expand(len(delta), 1)
    room = torch.minimum(room, magnitude)  # no entry grows, and an absent box (infinite room) needs no special case
    kinks, order = torch.cat([magnitude - room, magnitude], dim=1).sort(dim=1)
    # Between two kinks the norm falls at the rate "entries that started to shrink minus entries that reached zero".
    started = order < magnitude.shape[1]
    rate = (started.double() * 2 - 1).cumsum(1)
    falls = rate[:, :-1] * kinks.diff(dim=1)
    norm_at = room.sum(1, keepdim=True) - torch.nn.functional.pad(falls.cumsum(1), (1, 0))
    inside = norm_at <= budget
    first = torch.where(inside.any(1), inside.int().argmax(1), kinks.shape[1] - 1).unsqueeze(1)
    before = (first - 1).clamp_min(0)
    excess = (norm_at.gather(1, before) - budget).clamp_min(0)
    threshold = kinks.gather(1, before) + excess / rate.gather(1, before).clamp_min(1)
    threshold = torch.where(first == 0, 0.0, threshold)
    shrunk = torch.minimum((magnitude - threshold).clamp_min(0), room)
    return (shrunk.reshape(delta.shape) * delta.sign()).to(delta.dtype)


def ball(norm: float, x: Tensor, eps: Size, low: Tensor | None = None, high: Tensor | None = None) -> Ball:
    """Return the ball of radius ``eps`` in the given norm (1, 2, any p > 1 or inf) around the batch ``x``."""
    if norm == torch.inf:
        return Linf(x, eps, low, high)
    return L1(x, eps, low, high) if norm == 1 else Lp(x, eps, low, high, norm)

"""Random starts inside an Lp ball: drawn as ART draws them, or from each image's own key on the device."""

from typing import Any

import numpy as np
import torch
from art.utils import random_sphere
from torch import Tensor

from art_domainrand.attacks.engine.best import Which, on
from art_domainrand.core.norms import per_sample
from art_domainrand.core.random import START, count, derive, normal_field, uniform_field

# How often a gamma variate is proposed: one proposal in twenty is refused, so one in 10^10 numbers is left over.
PROPOSALS = 8


def art_noise(norm: float, shape: tuple[int, ...], eps: float | Tensor) -> Tensor:
    """Noise on the CPU from ``np.random``, the same draws as ART's ``random_sphere`` in the same order.

    Where ``random_sphere`` refuses (arrays of eps per sample, norms other than 1, 2 and inf) the draw is the natural
    extension: the unit ball times eps.
    """
    n, features = shape[0], int(np.prod(shape[1:]))
    if norm == np.inf and isinstance(eps, Tensor):
        radius = np.broadcast_to(eps.cpu().numpy(), shape).reshape(n, features)
        return as_noise(random_sphere(n, features, radius, norm), shape)
    if norm in (1, 2, np.inf):
        scalar = 1.0 if isinstance(eps, Tensor) else eps
        noise = as_noise(random_sphere(n, features, scalar, norm), shape)
    else:
        power = torch.as_tensor(np.random.standard_gamma(1 / norm, size=(n, features)))  # noqa: NPY002
        total = power.sum(1) + torch.as_tensor(np.random.exponential(size=n))  # noqa: NPY002
        sign = torch.as_tensor(np.random.choice([-1, 1], (n, features)))  # noqa: NPY002
        noise = (sign * (power / per_sample(total, power)) ** (1 / norm)).reshape(shape).float()
        noise = noise if isinstance(eps, Tensor) else noise * eps
    return noise * eps.cpu().float() if isinstance(eps, Tensor) else noise


def as_noise(values: Any, shape: tuple[int, ...]) -> Tensor:
    """ART's float64 noise as a float32 tensor of the shape of the images."""
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


class Starts:
    """Random starts for the images of one call, made for those that ask: from ``keys`` (N,), or None: ``np.random``.

    ART's FGM draws the starts of all images in one call of the generator, which the ``one_call`` asks for. In L-inf and
    L2 batch after batch draws the same numbers.
    """

    def __init__(
        self, norm: float, shape: tuple[int, ...], eps: float | Tensor, keys: Tensor | None, *, one_call: bool = False
    ) -> None:
        self.norm, self.shape, self.eps, self.keys = norm, shape, eps, keys
        self.one_call = one_call and norm not in (2, np.inf)
        self.drawn: tuple[int, int] | None = None
        self.noise = torch.empty(0)

    def of(self, which: Which, restart: int, stage: int, device: torch.device) -> Tensor:
        """Noise for some images in this restart of this stage of the attack."""
        if self.keys is not None:
            keys = derive(self.keys[which], START, stage, restart)
            noise = uniform_in_ball(self.norm, keys, self.shape[1:])
            eps = self.eps_of(which)
            return noise * (eps.to(device).float() if isinstance(eps, Tensor) else eps)
        if not self.one_call:
            n = which.stop - which.start if isinstance(which, slice) else len(which)
            return art_noise(self.norm, (n, *self.shape[1:]), self.eps_of(which)).to(device)
        if self.drawn != (stage, restart):
            self.drawn, self.noise = (stage, restart), art_noise(self.norm, self.shape, self.eps)
        return self.noise[on(which, self.noise)].to(device)

    def eps_of(self, which: Which) -> float | Tensor:
        """The radii of some images."""
        if not isinstance(self.eps, Tensor):
            return self.eps
        per_image = self.eps.dim() == len(self.shape) and len(self.eps) == self.shape[0]
        return self.eps[on(which, self.eps)] if per_image else self.eps


def uniform_in_ball(norm: float, keys: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Points (B, *shape) uniform in the unit ball of ``norm``, in float32 on the device of ``keys``.

    For p < inf: with ``g`` of density proportional to ``exp(-|g|^p)`` and ``z`` standard exponential,
    ``g / (sum |g|^p + z)^(1/p)`` is uniform in the ball (Barthe et al. 2005, theorem 1). ``|g|`` is ``u a^(1/p)`` with
    ``u`` uniform and ``a`` from the gamma distribution of shape 1 + 1/p, as ``|g|^p`` itself underflows for large p.
    """
    size, wide = count(shape), (len(keys), *shape)
    if norm == torch.inf:
        return uniform_field(keys, size).mul_(2).sub_(1).reshape(wide)
    rest = exponential(derive(keys, 2), 1)
    if norm == 2:
        unit = normal_field(derive(keys, 1), size).mul_(0.5**0.5)
        return (unit / (unit.square().sum(1, keepdim=True) + rest).sqrt()).reshape(wide)
    # In double precision: powers of float32 differ in the last bit with their place in a batch.
    signed = uniform_field(derive(keys, 0), size, torch.float64).mul_(2).sub_(1)
    scale = gamma(derive(keys, 1), size, 1 + 1 / norm)
    total = (scale * signed.abs() ** norm).sum(1, keepdim=True) + rest
    return (signed * (scale / total) ** (1 / norm)).float().reshape(wide)


def exponential(keys: Tensor, size: int) -> Tensor:
    """Standard exponential numbers (B, size)."""
    return uniform_field(keys, size).log_().neg_()


def gamma(keys: Tensor, size: int, shape: float) -> Tensor:
    """Numbers (B, size) from the gamma distribution of a ``shape`` >= 1 (Marsaglia and Tsang 2000, section 4)."""
    d = shape - 1 / 3
    found = torch.full((len(keys), size), d, dtype=torch.float64, device=keys.device)
    for proposal in reversed(range(PROPOSALS)):  # the first that is accepted is written last
        x = normal_field(derive(keys, proposal, 0), size, torch.float64)
        v = (1 + x / (9 * d) ** 0.5) ** 3
        u = uniform_field(derive(keys, proposal, 1), size, torch.float64)
        accepted = (v > 0) & (u.log() < 0.5 * x**2 + d - d * v + d * v.clamp_min(1e-30).log())
        found = torch.where(accepted, d * v, found)
    return found

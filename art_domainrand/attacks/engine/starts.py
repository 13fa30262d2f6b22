"""Random starts inside an Lp ball: drawn as ART draws them, or from each image's own key on the device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.utils import random_sphere
from torch import Tensor

from art_domainrand.core.checks import rows_of
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
    """Random starts for the images of one call: from their ``keys`` (N,), or from ``np.random`` where they are None.

    Keyed starts are made for the images that ask for them. ART's are drawn batch by batch in the order they are asked
    for; ``drawn_with(rows)`` names the rows whose noise comes from the same call of the generator as that of ``rows``.
    """

    def __init__(
        self,
        norm: float,
        shape: tuple[int, ...],
        eps: float | Tensor,
        device: torch.device,
        keys: Tensor | None,
        drawn_with: Callable[[slice], slice],
    ) -> None:
        self.norm, self.shape, self.eps, self.device = norm, shape, eps, device
        self.keys, self.drawn_with = keys, drawn_with
        self.drawn: tuple[Any, ...] = ()
        self.noise = torch.empty(0)

    def of(self, ids: Tensor, restart: int, stage: int = 0) -> Tensor:
        """Noise for the images ``ids`` (A,) in this restart of this stage of the attack, on the device."""
        if self.keys is None:
            everyone = slice(0, self.shape[0])
            return self._art(restart, everyone, stage)[ids.to(self.noise.device)].to(self.device)
        keys = derive(self.keys[ids.to(self.keys.device)].to(self.device), START, stage, restart)
        noise = uniform_in_ball(self.norm, keys, self.shape[1:])
        if not isinstance(self.eps, Tensor):
            return noise * self.eps
        per_image = self.eps.dim() == len(self.shape) and self.eps.shape[0] == self.shape[0]
        eps = self.eps[ids.to(self.eps.device)] if per_image else self.eps
        return noise * eps.to(self.device).float()

    def at(self, restart: int, rows: slice) -> Tensor:
        """Noise for ``rows`` in this restart, on the device."""
        if self.keys is not None:
            return self.of(torch.arange(rows.start, rows.stop), restart)
        together = self.drawn_with(rows)
        first = rows.start - together.start
        return self._art(restart, together)[first : first + rows.stop - rows.start].to(self.device)

    def _art(self, restart: int, rows: slice, stage: int = 0) -> Tensor:
        """The noise that ART draws for ``rows``, drawn once."""
        if self.drawn != (restart, rows.start, stage):
            self.drawn = (restart, rows.start, stage)
            shape = (rows.stop - rows.start, *self.shape[1:])
            self.noise = art_noise(self.norm, shape, rows_of(self.eps, self.shape, rows))
        return self.noise


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

"""The inverse CDF of the beta distribution, on any device, with gradients to the point and to both shapes.

The integral is taken over t = log(x / (1 - x)), where the density exp(a t - (a + b) log(1 + exp(t))) / B(a, b) is
analytic for all shapes, by Gauss-Legendre's rule on panels that are narrow near its peak and wide in its tails. Points
are found by Newton's method inside their panel; a last step, taken with gradients, carries those of the implicit
function: dx/da = -(dF/da) / f.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from art_domainrand.randomization.numerics.elementary import logistic
from art_domainrand.randomization.numerics.matrices import Rows, constant

PANELS, NODES, REFINEMENTS = 256, 8, 7
"""With these the error is below 1e-9 for shapes from 0.05 to 1000."""

LOG_TAIL = -32.0
"""The logarithm of the mass beyond the first and the last panel, about 1e-14."""

MOST_EXTREME = 1e-13
"""Points of the unit interval are read as this far inside at least."""


def beta_icdf(u: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The values x in [0, 1] whose beta CDF is ``u``.

    Nothing is read back from the device; where a value lies in ``u`` changes no bits of it. The first derivatives are
    exact, those of a higher order are not.

    :param u: points in [0, 1], (P, N), floating.
    :param a: the first shape of each row, (P,), > 0.
    :param b: the second shape of each row, (P,), > 0.
    :return: values (P, N), in the dtype of ``u``.
    """
    wide = torch.float32 if u.device.type == "mps" else torch.float64
    a, b, given = a.to(u.device, wide)[:, None], b.to(u.device, wide)[:, None], u.to(wide)
    inside = given.detach().clamp(MOST_EXTREME, 1 - MOST_EXTREME)
    edges = _panel_edges(a.detach(), b.detach())
    half = (edges[:, 1:] - edges[:, :-1]) / 2
    areas = _integral(edges[:, :-1], half, a, b)
    tails = _density(edges[:, :1], a, b) / a, _density(edges[:, -1:], a, b) / b
    below = torch.cat((tails[0], areas), 1).cumsum(1)
    total = below[:, -1:] + tails[1]
    with torch.no_grad():
        shares = (below / total).contiguous()
        panel = (torch.searchsorted(shares, inside.contiguous()) - 1).clamp(0, PANELS - 1)
        start, stop = edges.gather(1, panel), edges.gather(1, panel + 1)
        left, right = shares.gather(1, panel), shares.gather(1, panel + 1)
        t = start + (stop - start) * ((inside - left) / (right - left)).clamp(0, 1)
        for _ in range(REFINEMENTS):
            t = torch.minimum(torch.maximum(t + _correction(t, start, inside, left, total, a, b), start), stop)
    # As far as the point was moved inside, it keeps its gradient.
    point = inside + (given - given.detach())
    t = t + _correction(t, start, point, below.gather(1, panel) / total, total, a, b)
    return logistic(t).to(u.dtype)


def _correction(t: Tensor, start: Tensor, u: Tensor, left: Tensor, total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Newton's step from ``t``, in the panel that begins at ``start``, with the CDF ``left``."""
    reached = left + _integral(start, (t - start) / 2, a, b) / total
    slope = (_density(t, a, b) / total).detach().clamp_min(torch.finfo(t.dtype).tiny)
    return (u - reached) / slope


def _integral(start: Tensor, half: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The integral of the density from ``start`` on over twice ``half``, elementwise."""
    nodes, weights = (constant((row,), start.dtype, start.device).view(-1, 1, 1) for row in _gauss())
    parts = weights * _density(start + half * (1 + nodes), a, b)
    area = parts[0]
    for part in parts[1:].unbind(0):  # one by one: the order of a sum over an axis depends on the other axes
        area = area + part
    return area * half


def _density(t: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The density at ``t``, up to a factor that makes it 1 at its peak."""
    peak = (torch.log(a) - torch.log(b)).detach()
    return torch.exp(a * (t - peak) - (a + b) * (_softplus(t) - _softplus(peak)))


def _softplus(t: Tensor) -> Tensor:
    """log(1 + exp(t))."""
    return t.clamp_min(0) + torch.log1p(torch.exp(-t.abs()))


def _panel_edges(a: Tensor, b: Tensor) -> Tensor:
    """Where the panels of each row begin and end, (P, PANELS + 1), from tail to tail."""
    log_beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    low, high = (LOG_TAIL + torch.log(a) + log_beta) / a, -(LOG_TAIL + torch.log(b) + log_beta) / b
    peak, width = torch.log(a) - torch.log(b), (1 / a + 1 / b).sqrt().clamp_max(1)
    first, last = torch.asinh((low - peak) / width), torch.asinh((high - peak) / width)
    shares = constant(_shares(), a.dtype, a.device)
    return peak + width * torch.sinh(first + (last - first) * shares)


@lru_cache(maxsize=1)
def _shares() -> Rows:
    return (tuple(k / PANELS for k in range(PANELS + 1)),)


@lru_cache(maxsize=1)
def _gauss() -> Rows:
    """Nodes and weights of Gauss and Legendre on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (tuple(nodes.tolist()), tuple(weights.tolist()))

"""Where in the unit cube a draw lies: independent points, or points spread more evenly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from art_domainrand.randomization.numerics.matrices import constant

CELLS = 1 << 23
"""Points are midpoints of this many cells per axis: neither 0 nor 1 occurs, and 1 - u is exactly such a point again."""


def unit_points(n: int, dimensions: int, generator: torch.Generator, method: str = "uniform") -> Tensor:
    """Draw points of the unit cube, each uniform on it under every method.

    The methods differ in how the points lie to one another, and so in the error of a mean over them:

    - "uniform": independent; the error falls as n^(-1/2).
    - "antithetic": rows 2 i and 2 i + 1 are u and 1 - u, and their mean is exact for a linear function; a last row
      without a partner stands alone (Hammersley and Morton, 1956).
    - "sobol": a Sobol sequence, scrambled by a random linear matrix and digital shift (Owen 1995; Matousek 1998); best
      with ``n`` a power of two. Made on the CPU: a generator on another device is read back once.
    - "stratified": a Latin hypercube; each of n equal intervals of every axis holds one point (McKay et al., 1979).

    :param n: the number of points, an int >= 0.
    :param dimensions: the number of coordinates of each.
    :param generator: the only source of randomness; the points lie on its device.
    :param method: one of the four.
    :return: (n, dimensions), float32.
    :raises ValueError: for an ``n`` that is no int >= 0 and an unknown method.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"n must be an int >= 0, got {n!r}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}")
    if n == 0 or dimensions == 0:
        return torch.zeros(n, dimensions, dtype=torch.float32, device=generator.device)
    return METHODS[method](n, dimensions, generator)


def _uniform(n: int, dimensions: int, generator: torch.Generator) -> Tensor:
    u = torch.rand(n, dimensions, dtype=torch.float32, generator=generator, device=generator.device)
    # Half a cell plus the cells before: exact, and one operation fewer than a sum and a quotient.
    half = constant(((0.5 / CELLS,),), u.dtype, u.device)
    return torch.add(half, u.mul_(CELLS).floor_(), alpha=1 / CELLS)


def _antithetic(n: int, dimensions: int, generator: torch.Generator) -> Tensor:
    half = _uniform((n + 1) // 2, dimensions, generator)
    return torch.stack((half, 1 - half), dim=1).flatten(0, 1)[:n]


def _sobol(n: int, dimensions: int, generator: torch.Generator) -> Tensor:
    seed = torch.randint(2**63 - 1, (), generator=generator, device=generator.device)
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=int(seed))  # type: ignore[no-untyped-call]
    # In float32 the largest points would be rounded to 1.
    return _midpoints((engine.draw(n, dtype=torch.float64) * CELLS).long()).to(generator.device)


def _stratified(n: int, dimensions: int, generator: torch.Generator) -> Tensor:
    shape, device = (n, dimensions), generator.device
    strata = torch.randint(2**63 - 1, shape, generator=generator, device=device).argsort(dim=0)
    inside = torch.randint(CELLS, shape, generator=generator, device=device)
    return _midpoints((strata * CELLS + inside) // n)


def _midpoints(cells: Tensor) -> Tensor:
    return cells.to(torch.float32).add_(0.5).div_(CELLS)


METHODS: dict[str, Callable[[int, int, torch.Generator], Tensor]] = {
    "uniform": _uniform,
    "antithetic": _antithetic,
    "sobol": _sobol,
    "stratified": _stratified,
}
"""Name -> function of (n, dimensions, generator)."""

"""Where in the unit cube a draw lies: independent points, or points spread more evenly.

All points are pure functions of keys (:mod:`art_domainrand.core.random`), so those of an image are the same in any
company. Several copies may be drawn for one key, and a method says how these lie to one another:

- "uniform": independent; the error of a mean over n of them falls as n^(-1/2).
- "antithetic": copies 2 i and 2 i + 1 are u and 1 - u, and their mean is exact for a linear function; a last copy
  without a partner stands alone (Hammersley and Morton, 1956).
- "sobol": a scrambled Sobol sequence, shifted digit by digit by random bits of the key (Matousek 1998); best with a
  power of two.
- "stratified": a Latin hypercube; each of n equal intervals of every axis holds one point (McKay et al., 1979).

Every single point is uniform on the cube under each method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.hashing import hash_field, numbered, unit_words, words
from art_domainrand.core.memory import onto
from art_domainrand.core.random import permutations
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.numerics.matrices import constant

CELLS = 1 << 23
"""Points are midpoints of this many cells per axis: neither 0 nor 1 occurs, and 1 - u is exactly such a point again."""

REMEMBERED = 1 << 16
"""Sobol points of at most so many coordinates are kept from call to call."""


def keyed_points(keys: Tensor, copies: int, dimensions: int, method: str = "uniform") -> Draw:
    """Points of the unit cube and seeds of pixel fields, ``copies`` in a row for each of ``keys`` (B,) int64.

    The keys must be hashes, as those of :func:`art_domainrand.core.random.keys_of` are.

    :raises ValueError: for an unknown method.
    """
    check_method(method)
    own = keys
    if copies != 1:
        copy = torch.arange(copies, device=keys.device)
        own = numbered(keys[:, None], copy).flatten()
    if method == "uniform" or not dimensions or not len(own):
        u = unit_words(own, dimensions)
    else:
        u = METHODS[method](keys, own, copies, dimensions)
    return Draw(u, own & ((1 << 63) - 1))


class HasParameters(Protocol):
    """What is drawn, by its coordinates alone: a pipeline, or a transform."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """One entry for each coordinate of the unit cube."""


def keyed_draws(pipeline: HasParameters, keys: Tensor, copies: int = 1, method: str = "uniform") -> Draw:
    """Draws of ``pipeline``, ``copies`` in a row for each of ``keys`` (B,); ``method`` says how these lie together.

    :raises ValueError: for an unknown method; the module says what there is.
    """
    return keyed_points(keys, copies, len(pipeline.parameters), method)


def sample_points(
    n: int,
    dimensions: int,
    generator: torch.Generator | None,
    device: torch.device | str | None,
    method: str,
) -> Draw:
    """Points and seeds for ``n`` images, on ``device`` or where the ``generator``, the only one drawn from, lives.

    Without a generator a new one is seeded from the operating system: nobody could ask for the same draw again.

    :raises ValueError: for an ``n`` that is no int >= 0, and an unknown method.
    :raises TypeError: for a generator that is none.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"n must be an int >= 0, got {n!r}")
    check_method(method)
    if generator is None:
        generator = torch.Generator(device or "cpu")
        generator.seed()
    elif not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be None or a torch.Generator, got {generator!r}")
    if method == "uniform":
        draw = _generated(int(n), dimensions, generator)
    else:
        key = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device)
        draw = keyed_points(numbered(key, 0), int(n), dimensions, method)
    return draw if device is None or draw.u.device == device else draw.to(device)


def _generated(n: int, dimensions: int, generator: torch.Generator) -> Draw:
    u = torch.rand(n, dimensions, dtype=torch.float32, generator=generator, device=generator.device)
    # Half a cell plus the cells before: exact, and one operation fewer than a sum and a quotient.
    half = constant(((0.5 / CELLS,),), u.dtype, u.device)
    u = torch.add(half, u.mul_(CELLS).floor_(), alpha=1 / CELLS)
    return Draw(u, torch.randint(2**63 - 1, (n,), generator=generator, device=generator.device))


def check_method(method: str) -> None:
    """Raise ValueError for an unknown ``method``."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}")


def _uniform(keys: Tensor, own: Tensor, copies: int, dimensions: int) -> Tensor:
    return unit_words(own, dimensions)


def _antithetic(keys: Tensor, own: Tensor, copies: int, dimensions: int) -> Tensor:
    first = own.view(len(keys), copies)[:, ::2]
    half = unit_words(first.flatten(), dimensions).view(*first.shape, dimensions)
    return torch.stack((half, 1 - half), dim=2).flatten(1, 2)[:, :copies].flatten(0, 1)


def _sobol(keys: Tensor, own: Tensor, copies: int, dimensions: int) -> Tensor:
    remembered = copies * dimensions <= REMEMBERED
    cells = (_sobol_on if remembered else sobol_cells)(copies, dimensions, keys.device)
    shift = hash_field(keys, dimensions) & (CELLS - 1)
    return _midpoints((cells ^ shift[:, None]).flatten(0, 1))


def _stratified(keys: Tensor, own: Tensor, copies: int, dimensions: int) -> Tensor:
    axes = numbered(numbered(keys, -1)[:, None], torch.arange(dimensions, device=keys.device))
    strata = permutations(axes.flatten(), copies).view(len(keys), dimensions, copies).mT.flatten(0, 1)
    inside = words(own, dimensions) >> 9 & (CELLS - 1)
    return _midpoints((strata * CELLS + inside) // copies)


def _midpoints(cells: Tensor) -> Tensor:
    return cells.to(torch.float32).add_(0.5).div_(CELLS)


def sobol_cells(n: int, dimensions: int, device: torch.device) -> Tensor:
    """The cells (n, dimensions) of the first points of a scrambled Sobol sequence, int32."""
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(n, dtype=torch.float64)  # in float32 the largest would be rounded to 1
    return onto(device, (points * CELLS).to(torch.int32))


_sobol_on = lru_cache(maxsize=16)(sobol_cells)

METHODS: dict[str, Callable[[Tensor, Tensor, int, int], Tensor]] = {
    "uniform": _uniform,
    "antithetic": _antithetic,
    "sobol": _sobol,
    "stratified": _stratified,
}
"""Name -> function of keys, of those of the single copies, of the number of copies and of coordinates."""

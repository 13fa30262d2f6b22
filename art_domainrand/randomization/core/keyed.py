"""Draws that are pure functions of a key: the same for an image whatever else is drawn with it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from art_domainrand.core.random import hash_field, numbered, seeds_of, uniform_field
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.sampling import CELLS


class HasParameters(Protocol):
    """What is drawn, by its coordinates alone: a pipeline, or a transform."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """One entry for each coordinate of the unit cube."""


def keyed_draws(pipeline: HasParameters, keys: Tensor, copies: int = 1, method: str = "uniform") -> Draw:
    """Draws of ``pipeline``, ``copies`` in a row for each key; ``method`` says how these lie to one another.

    "antithetic" pairs are u and 1 - u; "sobol" are the first points of a scrambled Sobol sequence, shifted digit by
    digit by random bits of the key (Matousek 1998), so that every one of them is uniform.
    """
    dimensions = len(pipeline.parameters)
    copy = torch.arange(copies, device=keys.device).repeat(len(keys))
    own = numbered(keys.repeat_interleave(copies), copy)
    if method == "antithetic":
        u = uniform_field(numbered(keys.repeat_interleave(copies), copy // 2), dimensions)
        u = torch.where((copy % 2 == 1).unsqueeze(1), 1 - u, u)
    elif method == "sobol" and dimensions:
        cells = sobol_cells(copies, dimensions).to(keys.device).repeat(len(keys), 1)
        shift = hash_field(keys, dimensions).repeat_interleave(copies, 0) & (CELLS - 1)
        u = (cells ^ shift).float().add_(0.5).div_(CELLS)
    else:
        u = uniform_field(own, dimensions)
    return Draw(u, seeds_of(own))


@lru_cache(maxsize=16)
def sobol_cells(n: int, dimensions: int) -> Tensor:
    """The cells (n, dimensions) of the first points of a scrambled Sobol sequence, int32."""
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(n, dtype=torch.float64)
    return (points * CELLS).to(torch.int32)

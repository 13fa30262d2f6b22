"""Draws that are pure functions of a key: the same for an image whatever else is drawn with it."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.sampling import keyed_points


class HasParameters(Protocol):
    """What is drawn, by its coordinates alone: a pipeline, or a transform."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """One entry for each coordinate of the unit cube."""


def keyed_draws(pipeline: HasParameters, keys: Tensor, copies: int = 1, method: str = "uniform") -> Draw:
    """Draws of ``pipeline``, ``copies`` in a row for each of ``keys`` (B,); ``method`` says how these lie together.

    :raises ValueError: for an unknown method; :mod:`art_domainrand.randomization.core.sampling` says what there is.
    """
    return keyed_points(keys, copies, len(pipeline.parameters), method)

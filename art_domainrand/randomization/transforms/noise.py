"""Noise: one random number for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from art_domainrand.core.hashing import normal_field
from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values


@dataclass(frozen=True)
class GaussianNoise(PixelTransform):
    """Add independent normal noise to every value.

    :param std: its standard deviation, >= 0, in units of [0, 1].
    :raises ValueError: for a negative ``std``.
    """

    std: Range = Uniform(0.0, 0.1)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"std": "intensity"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("std", self.std, low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        field = normal_field(values["seed"], x[0].numel(), x.dtype).view(x.shape)
        std: Tensor = values["std"].view(-1, 1, 1, 1)
        if std.requires_grad or not field.is_contiguous():
            return x + field * std
        # The field is no longer needed, so its memory takes the sum; detached, as it may be a view of a longer one.
        noisy: Tensor = field.detach().mul_(std).add_(x)
        return noisy

"""What a domain is: a full map, and how far an image goes towards it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.luma import grey

HIGHEST = 5.0
"""The severity of the full map."""


@dataclass(frozen=True)
class Domain(PixelTransform):
    """Move images towards a domain: x + severity / 5 (full(x) - x).

    At severity 5 the image is the full map to the last bit; below it lies on the straight line between, so that the
    distance from the original grows with severity, also after values are clipped to [0, 1]. Differentiable in severity,
    and in the image where the full map is.

    Every map takes any number of channels. Three are RGB; otherwise the grey value is the mean of the channels, and a
    tint acts by its own grey value on all of them.

    :param severity: from 1 to 5, the full map.
    :raises ValueError: for a severity outside these bounds.
    """

    severity: Range = Uniform(1.0, HIGHEST)
    units: ClassVar[Mapping[str, str]] = {"severity": "from 1 to 5"}

    def __post_init__(self) -> None:
        super().__post_init__()
        assert isinstance(self.severity, Distribution)
        low, high = self.severity.support
        if not 1 <= low <= high <= HIGHEST:
            got = f"{low:g}" if low == high else f"values from {low:g} to {high:g}"
            raise ValueError(f"severity must be a number from 1 to 5, got {got}")

    def at(self, severity: Range) -> Self:
        """The same domain at another severity.

        :param severity: from 1 to 5.
        :raises ValueError: for a severity outside these bounds.
        """
        other = copy(self)
        other.__dict__.pop("parameters", None)  # they are worked out from the severity
        object.__setattr__(other, "severity", severity)
        other.__post_init__()
        return other

    @abstractmethod
    def full(self, x: Tensor, values: Values) -> Tensor:
        """The image in the domain; not clipped.

        :param x: images (B, C, H, W) in [0, 1].
        :param values: the values of the draw, with "seed" (B,) where the domain is seeded.
        """

    def apply(self, x: Tensor, values: Values) -> Tensor:
        # A vectorized exponential and the plain one for strided memory round differently; strides vary with the batch.
        x = x.contiguous()
        share = (values["severity"] / HIGHEST).view(-1, 1, 1, 1)
        moved: Tensor = torch.lerp(x, self.full(x, values).expand_as(x), share)
        return moved


def faded(x: Tensor, colour: float) -> Tensor:
    """Keep a share of the colour: 0 is grey, 1 unchanged."""
    dull = grey(x)
    return dull + (x - dull) * colour

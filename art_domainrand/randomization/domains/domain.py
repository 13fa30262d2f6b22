"""What a domain is: a full map, and how far an image goes towards it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import torch
from torch import Tensor

from ..color import LUMA
from ..distributions import Distribution, Range, Uniform
from ..transform import PixelTransform, Values

HIGHEST = 5.0
"""The severity of the full map."""


@dataclass(frozen=True)
class Domain(PixelTransform):
    """Move images towards a domain: x + severity / 5 (full(x) - x).

    ``severity`` is a number from 1 to 5, or a distribution of them. At 5 the image is the full map to the last bit;
    below it lies on the straight line between, so that the distance from the original grows with severity, also after
    values are clipped to [0, 1]. Differentiable in severity, and in the image where the full map is.

    Every map takes any number of channels. Three are RGB; otherwise the grey value is the mean of the channels, and a
    tint acts by its own grey value on all of them.
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
        """The same domain at another ``severity``."""
        other = copy(self)
        other.__dict__.pop("parameters", None)  # they are worked out from the severity
        object.__setattr__(other, "severity", severity)
        other.__post_init__()
        return other

    @abstractmethod
    def full(self, x: Tensor, values: Values) -> Tensor:
        """The image in the domain, for ``x`` (B, C, H, W); not clipped."""

    def apply(self, x: Tensor, values: Values) -> Tensor:
        # A vectorized exponential and the plain one for strided memory round differently; strides vary with the batch.
        x = x.contiguous()
        share = (values["severity"] / HIGHEST).view(-1, 1, 1, 1)
        moved: Tensor = torch.lerp(x, self.full(x, values).expand_as(x), share)
        return moved


def grey(x: Tensor) -> Tensor:
    """The grey value (B, 1, H, W): luma of three channels, else the mean."""
    if x.shape[1] == 1:
        return x
    weights = LUMA if x.shape[1] == 3 else (1 / x.shape[1],) * x.shape[1]
    total = x[:, :1] * weights[0]
    for channel in range(1, x.shape[1]):
        total = total + x[:, channel : channel + 1] * weights[channel]
    return total


def tint(rgb: tuple[float, float, float], x: Tensor) -> Tensor:
    """A colour that broadcasts against ``x``, (1, 3, 1, 1); its luma, (1, 1, 1, 1), unless ``x`` has three channels."""
    colour = rgb if x.shape[1] == 3 else (sum(w * value for w, value in zip(LUMA, rgb, strict=True)),)
    return numbers(colour, x.dtype, x.device).view(1, -1, 1, 1)


def faded(x: Tensor, colour: float) -> Tensor:
    """Keep a share of the colour: 0 is grey, 1 unchanged."""
    dull = grey(x)
    return dull + (x - dull) * colour


@lru_cache(maxsize=256)
def numbers(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Constants on ``device``, copied there once."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)

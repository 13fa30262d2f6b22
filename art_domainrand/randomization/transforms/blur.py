"""Blur by a Gaussian."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.convolution import convolve, gaussian_kernel


@dataclass(frozen=True)
class GaussianBlur(PixelTransform):
    """Blur with a Gaussian, the image mirrored at its border.

    :param sigma: the standard deviation in pixels, >= 0.
    :param kernel_size: the length of the truncated kernel in pixels, odd; None takes three standard deviations of the
        largest sigma on both sides. A kernel is never longer than mirroring allows, 2 * size - 1.
    :raises ValueError: for values outside these bounds, and for an unbounded ``sigma`` without ``kernel_size``.
    """

    sigma: Range = Uniform(0.1, 1.5)
    kernel_size: int | None = None
    units: ClassVar[Mapping[str, str]] = {"sigma": "pixels"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("sigma", self.sigma, low=0)
        if self.kernel_size is None:
            if math.isinf(self._largest()):
                raise ValueError(f"kernel_size must be given for an unbounded sigma, got None with sigma={self.sigma}")
        elif self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and > 0, got {self.kernel_size}")

    def apply(self, x: Tensor, values: Values) -> Tensor:
        radius = math.ceil(3 * self._largest()) if self.kernel_size is None else self.kernel_size // 2
        across, down = (gaussian_kernel(values["sigma"], min(radius, x.shape[axis] - 1)) for axis in (3, 2))
        return convolve(x, across, down)

    def _largest(self) -> float:
        assert isinstance(self.sigma, Distribution)
        return self.sigma.support[1]

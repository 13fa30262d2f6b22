"""Loss of detail: large pixels and JPEG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.straight_through import straight_through
from art_domainrand.randomization.core.distributions import LogUniform, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.jpeg import jpeg


@dataclass(frozen=True)
class Pixelate(PixelTransform):
    """Show the image in square blocks, each of the mean colour behind it.

    The blocks start at the top left. A pixel belongs to the block its centre lies in, and a block's mean counts the
    pixels on its edge by their share.

    :param block: the side of a block in pixels, >= 1; it need not be whole.
    :raises ValueError: for a side below 1.
    """

    block: Range = LogUniform(1.0, 6.0)
    units: ClassVar[Mapping[str, str]] = {"block": "pixels"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("block", self.block, low=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return _blocks(_blocks(x, values["block"], 3), values["block"], 2)


def _blocks(x: Tensor, length: Tensor, dim: int) -> Tensor:
    """Replace the lines of ``x`` (B, C, H, W) along ``dim`` by means over blocks of ``length`` (B,) pixels.

    Sums up to any point come from a running sum, linear within a pixel.
    """
    size = x.shape[dim]
    centre = torch.arange(size, dtype=x.dtype, device=x.device) + 0.5
    length = length[:, None]
    start = torch.floor(centre / length.detach()) * length
    stop = (start + length).clamp_max(size)
    sums = x.cumsum(dim)

    def until(point: Tensor) -> Tensor:
        pixel = point.detach().floor().clamp(0, size - 1)
        share = point - pixel
        shape = [len(x), 1, 1, 1]
        shape[dim] = size
        index = pixel.long().view(shape).expand(x.shape)
        # The sum up to and with this pixel, less the part of the pixel beyond the point.
        return sums.gather(dim, index) - x.gather(dim, index) * (1 - share).view(shape)

    shape = [len(x), 1, 1, 1]
    shape[dim] = size
    return (until(stop) - until(start)) / (stop - start).view(shape)


@dataclass(frozen=True)
class JPEG(PixelTransform):
    """Compress to JPEG and decompress: 4:2:0 chroma for RGB, grey images for any other number of channels.

    The forward pass rounds as a real codec does. The gradients are straight-through at every rounding: the image's is
    that of the chroma's resolution alone, and that of the quality keeps each coefficient's rounding error counted in
    steps.

    :param quality: from 1 to 100, as in libjpeg.
    :raises ValueError: for a quality outside these bounds.
    """

    quality: Range = Uniform(30.0, 95.0)
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"quality": "quality"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("quality", self.quality, low=1, high=100)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return jpeg(x, values["quality"], _rounded)


def _rounded(x: Tensor) -> Tensor:
    return straight_through(x.detach().round(), x)

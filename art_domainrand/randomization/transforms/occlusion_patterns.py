"""Patterns in front of the image, behind the object, and on its surface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from art_domainrand.core.hashing import uniform_field
from art_domainrand.randomization.core.distributions import LogUniform, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.coverage import cover, cover_rectangle, covered
from art_domainrand.randomization.numerics.foreground import (
    check_mask_channel,
    foreground,
    join_mask,
    require_mask_channel,
    split_mask,
    texture,
)
from art_domainrand.randomization.transforms.sensor import mean_channel


@dataclass(frozen=True)
class Erasing(PixelTransform):
    """Random erasing: put noise, or one value, in place of a rectangle (Zhong et al., AAAI 2020, algorithm 1).

    A side that would not fit is cut to the image's. Pixels on the edge are covered by their share, so that there is a
    gradient to all parameters.

    :param area: the rectangle's share of the image, from 1e-6 to 1.
    :param ratio: its height over its width, as shares of the image's; >= 0.001.
    :param x: where it lies, from the left border, 0, to the right one, 1.
    :param y: the same from the top, 0, to the bottom, 1.
    :param fill: "noise", uniform on [0, 1] and new for each value, or a finite number.
    :raises ValueError: for values outside these bounds.
    """

    area: Range = Uniform(0.02, 0.33)
    ratio: Range = LogUniform(0.3, 3.3)
    x: Range = Uniform(0.0, 1.0)
    y: Range = Uniform(0.0, 1.0)
    fill: Literal["noise"] | float = "noise"
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"area": "share", "ratio": "factor", "x": "share", "y": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("area", self.area, low=1e-6, high=1)
        require_support("ratio", self.ratio, low=1e-3)
        for name in ("x", "y"):
            require_support(name, getattr(self, name), low=0, high=1)
        if self.fill != "noise" and not (isinstance(self.fill, (int, float)) and math.isfinite(self.fill)):
            raise ValueError(f'fill must be "noise" or a finite number, got {self.fill!r}')

    def apply(self, x: Tensor, values: Values) -> Tensor:
        area, ratio = values["area"], values["ratio"]
        width, height = torch.sqrt(area / ratio).clamp_max(1.0), torch.sqrt(area * ratio).clamp_max(1.0)
        columns = covered(values["x"], width, x.shape[3])[:, None, None, :]
        rows = covered(values["y"], height, x.shape[2])[:, None, :, None]
        if self.fill == "noise":
            noise = uniform_field(values["seed"], x[0].numel(), x.dtype).view(x.shape)
            return cover(x, rows * columns, noise)
        return cover_rectangle(x, rows, columns, float(self.fill))


@dataclass(frozen=True)
class GridMask(PixelTransform):
    """Cover the squares of a regular grid with one grey value (Chen et al., "GridMask", 2020).

    Edges are one pixel soft, so that there is a gradient to all parameters.

    :param period: the distance of the squares, >= 0.01, as a share of the image's shorter side.
    :param share: the side of a square over the period, in [0, 1].
    :param x: the phase of the grid along its first axis, in periods.
    :param y: the phase along its second axis, in periods.
    :param angle: how far the grid is turned, in degrees.
    :param fill: the grey value, in units of [0, 1].
    :raises ValueError: for values outside these bounds.
    """

    period: Range = Uniform(0.2, 0.5)
    share: Range = Uniform(0.3, 0.6)
    x: Range = Uniform(0.0, 1.0)
    y: Range = Uniform(0.0, 1.0)
    angle: Range = Uniform(-45.0, 45.0)
    fill: Range = Uniform(0.0, 1.0)
    units: ClassVar[Mapping[str, str]] = {
        "period": "share",
        "share": "share",
        "x": "share",
        "y": "share",
        "angle": "degrees",
        "fill": "intensity",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("period", self.period, low=1e-2)
        require_support("share", self.share, low=0, high=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        radians = torch.deg2rad(values["angle"])
        period = values["period"] * min(height, width)
        # Positions along the two axes of the grid, in periods.
        cosine, sine = _each(torch.cos(radians) / period), _each(torch.sin(radians) / period)
        columns = (torch.arange(width, dtype=x.dtype, device=x.device) - (width - 1) / 2).view(1, 1, 1, -1)
        rows = (torch.arange(height, dtype=x.dtype, device=x.device) - (height - 1) / 2).view(1, 1, -1, 1)
        first = columns * cosine + (rows * sine + _each(values["x"]))
        second = rows * cosine - (columns * sine - _each(values["y"]))
        mask = _stripes(first, values["share"], period) * _stripes(second, values["share"], period)
        return cover(x, mask, _each(values["fill"]))


def _stripes(place: Tensor, share: Tensor, period: Tensor) -> Tensor:
    """How much of a pixel lies on a stripe: stripes are ``share`` wide about the whole numbers; one pixel is soft."""
    distance = (place - place.detach().round()).abs()
    half, period = _each(share) / 2, _each(period)
    # The nearest stripe, and the one on the other side, which matters where hardly any gap is left.
    nearest, next_one = (((half - away) * period + 0.5).clamp(0, 1) for away in (distance, 1 - distance))
    # A stripe narrower than a pixel covers no more than its width.
    return torch.minimum(nearest + next_one, (2 * half * period).clamp_max(1.0))


@dataclass(frozen=True)
class BackgroundRandomization(PixelTransform):
    """Put a random pattern behind the object, for sim-to-real transfer (Tobin et al., IROS 2017).

    :param amount: how far the pattern is faded in, in [0, 1].
    :param threshold: without ``mask_channel`` the object is where the saliency exceeds so many times its mean, softly;
        >= 0.
    :param cells: the number of the pattern's lumps along a side, an int >= 1.
    :param mask_channel: the channel of the image that is 1 on the object: it travels with the image and is kept. None
        looks for the object.
    :raises ValueError: for values outside these bounds.
    """

    amount: Range = Uniform(0.5, 1.0)
    threshold: Range = Uniform(0.8, 1.2)
    cells: int = 4
    mask_channel: int | None = None
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"amount": "share", "threshold": "mean saliency"}

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_surface(self.amount, self.threshold, self.cells, self.mask_channel)

    def check_channels(self, channels: int) -> None:
        require_mask_channel(self.mask_channel, channels)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        image, mask = split_mask(x, self.mask_channel)
        inside = foreground(image, values["threshold"]) if mask is None else mask
        pattern = texture(image, values["seed"], self.cells)
        changed = image + (pattern - image) * ((1 - inside) * _each(values["amount"]))
        return join_mask(changed, mask, self.mask_channel)


@dataclass(frozen=True)
class TextureRandomization(PixelTransform):
    """Give the object another surface and keep its shading: a random pattern times the brightness behind it.

    The pattern is scaled by the mean of the channels over 0.5, so light and shadow stay.

    :param amount: how far the pattern is faded in, in [0, 1].
    :param threshold: how the object is found, as in :class:`BackgroundRandomization`; >= 0.
    :param cells: the number of the pattern's lumps along a side, an int >= 1.
    :param mask_channel: the channel of the image that is 1 on the object, as in :class:`BackgroundRandomization`.
    :param whole: whether the whole image is repainted, wherever the object is.
    :raises ValueError: for values outside these bounds.
    """

    amount: Range = Uniform(0.3, 1.0)
    threshold: Range = Uniform(0.8, 1.2)
    cells: int = 6
    mask_channel: int | None = None
    whole: bool = False
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"amount": "share", "threshold": "mean saliency"}

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_surface(self.amount, self.threshold, self.cells, self.mask_channel)

    def check_channels(self, channels: int) -> None:
        require_mask_channel(self.mask_channel, channels)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        image, mask = split_mask(x, self.mask_channel)
        painted = texture(image, values["seed"], self.cells) * (2 * mean_channel(image))
        weight = _each(values["amount"])
        if not self.whole:
            weight = weight * (foreground(image, values["threshold"]) if mask is None else mask)
        return join_mask(image + (painted - image) * weight, mask, self.mask_channel)


def _check_surface(amount: Range, threshold: Range, cells: int, mask_channel: int | None) -> None:
    require_support("amount", amount, low=0, high=1)
    require_support("threshold", threshold, low=0)
    if not isinstance(cells, int) or isinstance(cells, bool) or cells < 1:
        raise ValueError(f"cells must be an int > 0, got {cells!r}")
    check_mask_channel(mask_channel)


def _each(value: Tensor) -> Tensor:
    return value.view(-1, 1, 1, 1)

"""Light: smooth factors over the image that depend on where a pixel lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.elementary import logistic


@dataclass(frozen=True)
class Vignette(PixelTransform):
    """Darken towards the corners by the cosine fourth law of natural vignetting.

    The gain is (1 + q r^2)^-2, with r in half diagonals from the centre of the lens.

    :param strength: the share of light lost half a diagonal away from that centre, from 0 to 0.99.
    :param x: where the centre lies from the left, as a share of the width.
    :param y: where it lies from the top, as a share of the height.
    :raises ValueError: for a strength outside these bounds.
    """

    strength: Range = Uniform(0.0, 0.7)
    x: Range = Uniform(0.4, 0.6)
    y: Range = Uniform(0.4, 0.6)
    units: ClassVar[Mapping[str, str]] = {"strength": "share", "x": "share", "y": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0, high=0.99)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        rows = _centres(height, x) - _scalar(values["y"]) * height
        columns = _centres(width, x).view(1, 1, 1, -1) - _scalar(values["x"]) * width
        steepness = (torch.rsqrt(1 - values["strength"]) - 1) * (4 / (height**2 + width**2))
        falloff = 1 + _scalar(steepness) * columns.square() + _scalar(steepness) * rows.square()
        return x / falloff.square()


@dataclass(frozen=True)
class UnevenIllumination(PixelTransform):
    """Light the image from one side and by one lamp: multiply by exp(``slope`` t + ``lamp`` g).

    t runs from -1 to 1 across the image, g is a Gaussian of height 1 about the lamp.

    :param slope: the logarithm of the gain at the lit side: 0.69 doubles the light, below zero takes it away.
    :param angle: the direction in which t grows, in degrees: 0 to the right, 90 down.
    :param lamp: the logarithm of the gain at the lamp, read as ``slope``.
    :param x: where the lamp is from the left, as a share of the width.
    :param y: where it is from the top, as a share of the height.
    :param radius: the standard deviation of g, >= 0.001, as a share of the longer side.
    :raises ValueError: for a smaller radius.
    """

    slope: Range = Uniform(0.0, 0.5)
    angle: Range = Uniform(0.0, 360.0)
    lamp: Range = Uniform(-0.5, 0.5)
    x: Range = Uniform(0.0, 1.0)
    y: Range = Uniform(0.0, 1.0)
    radius: Range = Uniform(0.2, 0.6)
    units: ClassVar[Mapping[str, str]] = {
        "slope": "log gain",
        "angle": "degrees",
        "lamp": "log gain",
        "x": "share",
        "y": "share",
        "radius": "share",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("radius", self.radius, low=1e-3)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        side, radians = max(height, width), torch.deg2rad(values["angle"])
        across, down = torch.cos(radians), torch.sin(radians)
        rows, columns = _centres(height, x), _centres(width, x).view(1, 1, 1, -1)
        # Along the direction the corner furthest out is at 1.
        reach = (across.abs() * width + down.abs() * height) / 2
        slope = values["slope"] / reach
        ramp = _scalar(slope * across) * (columns - width / 2) + _scalar(slope * down) * (rows - height / 2)
        narrow = 0.5 / (values["radius"] * side).square()
        lamp_column = torch.exp(-_scalar(narrow) * (columns - _scalar(values["x"]) * width).square())
        lamp_row = torch.exp(-_scalar(narrow) * (rows - _scalar(values["y"]) * height).square())
        return x * torch.exp(ramp + (_scalar(values["lamp"]) * lamp_column) * lamp_row)


@dataclass(frozen=True)
class Shadow(PixelTransform):
    """Cast the shadow of a pole or a wall: a band with soft edges that takes a share of the light.

    :param strength: the share of the light that is gone in the band, in [0, 1].
    :param angle: the band's direction in degrees from the horizontal.
    :param position: where it lies across the image; 0 and 1 touch opposite corners.
    :param width: its width, >= 0, as a share of the diagonal.
    :param softness: the width of the penumbra over which it fades, >= 0.001, as a share of the diagonal.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.2, 0.6)
    angle: Range = Uniform(0.0, 360.0)
    position: Range = Uniform(0.2, 0.8)
    width: Range = Uniform(0.1, 0.5)
    softness: Range = Uniform(0.01, 0.1)
    units: ClassVar[Mapping[str, str]] = {
        "strength": "share",
        "angle": "degrees",
        "position": "share",
        "width": "share",
        "softness": "share",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0, high=1)
        require_support("width", self.width, low=0)
        require_support("softness", self.softness, low=1e-3)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        radians = torch.deg2rad(values["angle"])
        across, down = -torch.sin(radians), torch.cos(radians)
        diagonal = (height**2 + width**2) ** 0.5
        reach = across.abs() * width + down.abs() * height
        # Everything along the band's normal, counted in softness; a logistic falls from 0.98 to 0.02 within 8 units.
        unit = 8 / (values["softness"] * diagonal)
        offset = (values["position"] - 0.5) * reach * unit
        half = values["width"] * (diagonal / 2) * unit
        columns = (_centres(width, x) - width / 2).view(1, 1, 1, -1)
        rows = _centres(height, x) - height / 2
        distance = _scalar(across * unit) * columns + (_scalar(down * unit) * rows - _scalar(offset))
        shade = logistic(distance + _scalar(half)) - logistic(distance - _scalar(half))
        return x * (1 - _scalar(values["strength"]) * shade)


def _centres(size: int, like: Tensor) -> Tensor:
    """The centres of ``size`` pixels, counted from the border, as a column (1, 1, size, 1)."""
    return (torch.arange(size, dtype=like.dtype, device=like.device) + 0.5).view(1, 1, -1, 1)


def _scalar(value: Tensor) -> Tensor:
    return value.view(-1, 1, 1, 1)

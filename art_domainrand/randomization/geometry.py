"""Geometry: transforms that move pixels by a 3x3 matrix about the image centre ((W - 1) / 2, (H - 1) / 2).

Signs and pixel coordinates are Kornia's: a positive angle turns counter-clockwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .distributions import Distribution, LogUniform, Range, Uniform, as_distribution, require_support
from .linear import stack_matrix
from .transform import Frame, GeometricTransform, Values
from .warp import Sampling

CORNERS = ("top_left", "top_right", "bottom_right", "bottom_left")


@dataclass(frozen=True)
class Rotation(GeometricTransform):
    """Turn the image about its centre by ``angle`` degrees, counter-clockwise."""

    angle: Range = Uniform(-15.0, 15.0)
    mode: str = "bilinear"
    padding: str = "zeros"

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        radians = torch.deg2rad(values["angle"])
        cos, sin = torch.cos(radians), torch.sin(radians)
        return about_centre([[cos, sin], [-sin, cos]], frame)


@dataclass(frozen=True)
class Scale(GeometricTransform):
    """Magnify the image about its centre by ``factor``; with ``vertical`` given, that is the factor of the y axis."""

    factor: Range = LogUniform(0.9, 1.1)
    vertical: Range | None = None
    mode: str = "bilinear"
    padding: str = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0, exclusive=True)
        if self.vertical is not None:
            object.__setattr__(self, "vertical", as_distribution("vertical", self.vertical))
            require_support("vertical", self.vertical, low=0, exclusive=True)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        horizontal = values["factor"]
        none = torch.zeros_like(horizontal)
        return about_centre([[horizontal, none], [none, values.get("vertical", horizontal)]], frame)


@dataclass(frozen=True)
class Shear(GeometricTransform):
    """Slant the image about its centre: ``x`` degrees along the rows, ``y`` degrees along the columns."""

    x: Range = Uniform(-10.0, 10.0)
    y: Range = Uniform(0.0, 0.0)
    mode: str = "bilinear"
    padding: str = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("x", self.x, low=-89, high=89)
        require_support("y", self.y, low=-89, high=89)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        along_x, along_y = torch.tan(torch.deg2rad(values["x"])), torch.tan(torch.deg2rad(values["y"]))
        one = torch.ones_like(along_x)
        return about_centre([[one, -along_x], [-along_y, one + along_x * along_y]], frame)


@dataclass(frozen=True)
class Translation(GeometricTransform):
    """Shift the image right by ``x`` of its width and down by ``y`` of its height."""

    x: Range = Uniform(-0.1, 0.1)
    y: Range = Uniform(-0.1, 0.1)
    mode: str = "bilinear"
    padding: str = "zeros"

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        one, none = torch.ones_like(values["x"]), torch.zeros_like(values["x"])
        return affine_matrix([[one, none], [none, one]], values["x"] * frame.width, values["y"] * frame.height)


@dataclass(frozen=True)
class Crop(GeometricTransform):
    """Cut out a box of a share ``area`` of the image and resize it back (a "random resized crop").

    ``ratio`` is the box's aspect, width over height, relative to the image's. ``x`` and ``y`` in [0, 1] say where it
    lies, from one border to the other. A box that would be longer than the image is cut to its length.
    """

    area: Range = Uniform(0.7, 1.0)
    ratio: Range = LogUniform(0.8, 1.25)
    x: Range = Uniform(0.0, 1.0)
    y: Range = Uniform(0.0, 1.0)
    mode: str = "bilinear"
    padding: str = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("ratio", self.ratio, low=0, exclusive=True)
        require_support("area", self.area, low=1e-6, high=1)
        require_support("x", self.x, low=0, high=1)
        require_support("y", self.y, low=0, high=1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        width = torch.sqrt(values["area"] * values["ratio"]).clamp(max=1)
        height = torch.sqrt(values["area"] / values["ratio"]).clamp(max=1)
        left = values["x"] * (1 - width) * (frame.width - 1)
        top = values["y"] * (1 - height) * (frame.height - 1)
        none = torch.zeros_like(width)
        return affine_matrix([[1 / width, none], [none, 1 / height]], -left / width, -top / height)


@dataclass(frozen=True)
class Flip(GeometricTransform):
    """Mirror the image left to right with probability ``horizontal``, upside down with probability ``vertical``.

    It moves pixels onto pixels, so it has no sampling of its own: alone it is exact, and it fuses with any neighbour.
    """

    horizontal: float = 0.5
    vertical: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("horizontal", "vertical"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")

    @property
    def sampling(self) -> Sampling | None:
        return None

    @property
    def parameters(self) -> Mapping[str, Distribution]:
        return {"horizontal": Uniform(0.0, 1.0), "vertical": Uniform(0.0, 1.0)}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        one = torch.ones_like(values["horizontal"])
        across = torch.where(values["horizontal"] < self.horizontal, -one, one)
        down = torch.where(values["vertical"] < self.vertical, -one, one)
        return about_centre([[across, 0 * one], [0 * one, down]], frame)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        for axis, probability in (("horizontal", self.horizontal), ("vertical", self.vertical)):
            if probability > 0:
                flipped = (values[axis] < probability).view(-1, 1, 1, 1)
                x = torch.where(flipped, x.flip(3 if axis == "horizontal" else 2), x)
        return x


@dataclass(frozen=True)
class Perspective(GeometricTransform):
    """Pull each corner inwards, in x and in y, by a share ``distortion`` of half the image; eight coordinates.

    ``distortion`` stays below 2/3: beyond, the four corners may no longer be a convex quadrilateral.
    """

    distortion: Range = Uniform(0.0, 0.25)
    mode: str = "bilinear"
    padding: str = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("distortion", self.distortion, low=0, high=0.66)

    @property
    def parameters(self) -> Mapping[str, Distribution]:
        assert isinstance(self.distortion, Distribution)
        return {f"{corner}_{axis}": self.distortion for corner in CORNERS for axis in "xy"}

    @property
    def projective(self) -> bool:
        return True

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        width, height = frame.width - 1, frame.height - 1
        x0, x3 = (values[f"{corner}_x"] * (width / 2) for corner in ("top_left", "bottom_left"))
        x1, x2 = (width - values[f"{corner}_x"] * (width / 2) for corner in ("top_right", "bottom_right"))
        y0, y1 = (values[f"{corner}_y"] * (height / 2) for corner in ("top_left", "top_right"))
        y2, y3 = (height - values[f"{corner}_y"] * (height / 2) for corner in ("bottom_right", "bottom_left"))
        # The homography from the unit square to a quadrilateral in closed form (P. Heckbert, "Fundamentals of texture
        # mapping and image warping", 1989, section 2.2.3); a linear solver would wait for the device.
        sum_x, sum_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
        right_x, right_y, left_x, left_y = x1 - x2, y1 - y2, x3 - x2, y3 - y2
        area = right_x * left_y - left_x * right_y
        g = (sum_x * left_y - left_x * sum_y) / area
        h = (right_x * sum_y - sum_x * right_y) / area
        across, down = 1 / max(width, 1), 1 / max(height, 1)
        return stack_matrix(
            [
                [(x1 - x0 + g * x1) * across, (x3 - x0 + h * x3) * down, x0],
                [(y1 - y0 + g * y1) * across, (y3 - y0 + h * y3) * down, y0],
                [g * across, h * down, torch.ones_like(g)],
            ]
        )


def affine_matrix(linear: list[list[Tensor]], shift_x: Tensor, shift_y: Tensor) -> Tensor:
    """The (B, 3, 3) matrix of p -> linear p + shift, from the entries (B,) of a 2x2 matrix and two shifts."""
    none, one = torch.zeros_like(shift_x), torch.ones_like(shift_x)
    return stack_matrix([[*linear[0], shift_x], [*linear[1], shift_y], [none, none, one]])


def about_centre(linear: list[list[Tensor]], frame: Frame) -> Tensor:
    """The (B, 3, 3) matrix that applies a 2x2 matrix about the image centre."""
    x, y = (frame.width - 1) / 2, (frame.height - 1) / 2
    (a, b), (c, d) = linear
    return affine_matrix(linear, x - (a * x + b * y), y - (c * x + d * y))

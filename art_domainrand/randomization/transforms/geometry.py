"""Geometry: transforms that move pixels by a 3x3 matrix, in pixels from the image centre.

Signs are Kornia's: x runs to the right, y down, and a positive angle turns counter-clockwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import index
from typing import Any, ClassVar

import torch
from kornia.geometry import angle_to_rotation_matrix, hflip, vflip
from torch import Tensor
from torch.nn import functional

from art_domainrand.randomization.core.distributions import (
    Distribution,
    LogUniform,
    Range,
    Uniform,
    as_distribution,
    require_support,
)
from art_domainrand.randomization.core.moving import GeometricTransform
from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.numerics.matrices import Rows, combine, constant
from art_domainrand.randomization.numerics.positions import Carrying, Frame, Sampling


def _entries(*places: tuple[int, int]) -> Rows:
    """A 3x3 pattern that is one at ``places``, and zero elsewhere."""
    return tuple(tuple(float((row, column) in places) for column in range(3)) for row in range(3))


# Where the value of a transform goes: _XY is the share of the source's y in the target's x, _X1 the shift of x.
_XX, _XY, _X1 = (_entries((0, column)) for column in range(3))
_YX, _YY, _Y1 = (_entries((1, column)) for column in range(3))
_LAST, _IDENTITY = _entries((2, 2)), _entries((0, 0), (1, 1), (2, 2))
_XX_YY = _entries((0, 0), (1, 1))


@dataclass(frozen=True)
class Rotation(GeometricTransform):
    """Turn the image about its centre.

    :param angle: degrees, counter-clockwise.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for an unknown mode or padding.
    """

    angle: Range = Uniform(-15.0, 15.0)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {"angle": "degrees"}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        turn = functional.pad(angle_to_rotation_matrix(values["angle"]), (0, 1, 0, 1))
        return turn + constant(_LAST, turn.dtype, turn.device)


@dataclass(frozen=True)
class Scale(GeometricTransform):
    """Magnify the image about its centre.

    :param factor: the magnification, > 0, of both axes; of the x axis alone with ``vertical``.
    :param vertical: the magnification of the y axis, > 0; None takes ``factor``.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for a magnification that can be zero or less, and an unknown mode or padding.
    """

    factor: Range = LogUniform(0.9, 1.1)
    vertical: Range | None = None
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {"factor": "factor", "vertical": "factor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0, exclusive=True)
        if self.vertical is not None:
            object.__setattr__(self, "vertical", as_distribution("vertical", self.vertical))
            require_support("vertical", self.vertical, low=0, exclusive=True)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        if self.vertical is None:
            return combine(_LAST, (values["factor"], _XX_YY))
        return combine(_LAST, (values["factor"], _XX), (values["vertical"], _YY))


@dataclass(frozen=True)
class Shear(GeometricTransform):
    """Slant the image.

    :param x: degrees along the rows, from -89 to 89.
    :param y: degrees along the columns, from -89 to 89.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :param corner: whether the upper left corner stays where it is, as in PIL and in policies of augmentation, rather
        than the centre.
    :raises ValueError: for an angle outside these bounds, and an unknown mode or padding.
    """

    x: Range = Uniform(-10.0, 10.0)
    y: Range = Uniform(0.0, 0.0)
    mode: str = "bilinear"
    padding: str = "zeros"
    corner: bool = False
    units: ClassVar[Mapping[str, str]] = {"x": "degrees", "y": "degrees"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("x", self.x, low=-89, high=89)
        require_support("y", self.y, low=-89, high=89)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        along_x, along_y = torch.tan(torch.deg2rad(values["x"])), torch.tan(torch.deg2rad(values["y"]))
        both = along_x * along_y
        slant = ((-along_x, _XY), (-along_y, _YX), (both, _YY))
        if not self.corner:
            return combine(_IDENTITY, *slant)
        left, top = -frame.width / 2, -frame.height / 2
        return combine(_IDENTITY, *slant, (along_x * top, _X1), (along_y * left - both * top, _Y1))


@dataclass(frozen=True)
class Translation(GeometricTransform):
    """Shift the image.

    :param x: to the right, as a share of the width.
    :param y: down, as a share of the height.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for an unknown mode or padding.
    """

    x: Range = Uniform(-0.1, 0.1)
    y: Range = Uniform(-0.1, 0.1)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {"x": "share of the width", "y": "share of the height"}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        return combine(_IDENTITY, (values["x"] * frame.width, _X1), (values["y"] * frame.height, _Y1))


@dataclass(frozen=True)
class PixelShift(GeometricTransform):
    """Shift the image by so many pixels, whatever its size.

    :param x: to the right, in pixels.
    :param y: down, in pixels.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for an unknown mode or padding.
    """

    x: Range = Uniform(-4.0, 4.0)
    y: Range = Uniform(-4.0, 4.0)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {"x": "pixels", "y": "pixels"}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        return combine(_IDENTITY, (values["x"], _X1), (values["y"], _Y1))


@dataclass(frozen=True)
class Crop(GeometricTransform):
    """Cut out a box and resize it back to the image's size (a "random resized crop").

    A box that would be longer than the image is cut to its length.

    :param area: the box's share of the image, from 1e-6 to 1.
    :param ratio: the box's aspect, width over height, relative to the image's; > 0.
    :param x: where the box lies, from the left border, 0, to the right one, 1.
    :param y: the same from the top, 0, to the bottom, 1.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for values outside these bounds, and an unknown mode or padding.
    """

    area: Range = Uniform(0.7, 1.0)
    ratio: Range = LogUniform(0.8, 1.25)
    x: Range = Uniform(0.0, 1.0)
    y: Range = Uniform(0.0, 1.0)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {"area": "share", "ratio": "factor", "x": "share", "y": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("ratio", self.ratio, low=0, exclusive=True)
        require_support("area", self.area, low=1e-6, high=1)
        require_support("x", self.x, low=0, high=1)
        require_support("y", self.y, low=0, high=1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        width = torch.sqrt(values["area"] * values["ratio"]).clamp(max=1)
        height = torch.sqrt(values["area"] / values["ratio"]).clamp(max=1)
        shift_x = (0.5 - values["x"]) * (1 - width) * (frame.width - 1) / width
        shift_y = (0.5 - values["y"]) * (1 - height) * (frame.height - 1) / height
        return combine(_LAST, (1 / width, _XX), (1 / height, _YY), (shift_x, _X1), (shift_y, _Y1))


@dataclass(frozen=True)
class Flip(GeometricTransform):
    """Mirror the image left to right or upside down.

    It moves pixels onto pixels, so it has no sampling of its own: alone it is exact, and it fuses with any neighbour.

    :param horizontal: the probability of a mirroring left to right, in [0, 1].
    :param vertical: the probability of a mirroring upside down, in [0, 1].
    :param pairs: keypoints that are each other's mirror images, such as ((1, 2), (3, 4)) for left and right eyes and
        ears: they change places in the labels of an image that is mirrored, but not if both ways, which is half a turn.
    :raises ValueError: for a probability outside [0, 1], and for pairs that are not of different ints >= 0.
    """

    horizontal: float = 0.5
    vertical: float = 0.0
    pairs: tuple[tuple[int, int], ...] = ()
    units: ClassVar[Mapping[str, str]] = {"horizontal": "probability", "vertical": "probability"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("horizontal", "vertical"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        object.__setattr__(self, "pairs", _distinct_pairs(self.pairs))

    @property
    def sampling(self) -> Sampling | None:
        return None

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {"horizontal": Uniform(0.0, 1.0), "vertical": Uniform(0.0, 1.0)}

    def chosen(self, name: str, u: Tensor) -> str | None:
        return "flipped" if bool(u < getattr(self, name)) else "not flipped"

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        across = (values["horizontal"] < self.horizontal).to(values["horizontal"].dtype)
        down = (values["vertical"] < self.vertical).to(values["vertical"].dtype)
        return combine(_IDENTITY, (-2 * across, _XX), (-2 * down, _YY))

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        if not self.pairs:
            return order
        count = order.shape[1]
        if max(map(max, self.pairs)) >= count:
            raise ValueError(f"pairs must be of the {count} keypoints of an object, got {self.pairs}")
        other = dict(self.pairs) | {second: first for first, second in self.pairs}
        swapped = order[:, [other.get(place, place) for place in range(count)]]
        mirrored = (values["horizontal"] < self.horizontal) != (values["vertical"] < self.vertical)
        return torch.where(mirrored[:, None], swapped, order)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        for axis, probability in (("horizontal", self.horizontal), ("vertical", self.vertical)):
            if probability > 0:
                flipped = (values[axis] < probability).view(-1, 1, 1, 1)
                x = torch.where(flipped, hflip(x) if axis == "horizontal" else vflip(x), x)
        return x


def _distinct_pairs(pairs: Any) -> tuple[tuple[int, int], ...]:
    """Read pairs of keypoints, none of them in two, as tuples of ints; else ValueError."""
    try:
        found = tuple((index(first), index(second)) for first, second in pairs)
    except (TypeError, ValueError):
        found = ((-1, -1),)
    places = [place for pair in found for place in pair]
    if len(set(places)) < len(places) or min(places, default=0) < 0:
        raise ValueError(f"pairs must be pairs of different keypoints, ints >= 0, got {pairs!r}")
    return found

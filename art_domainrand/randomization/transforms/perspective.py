"""The image seen from another place: a homography."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.moving import GeometricTransform
from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.numerics.matrices import constant, multiply
from art_domainrand.randomization.numerics.positions import Frame

CORNERS = ("top_left", "top_right", "bottom_right", "bottom_left")
_CORNER_SIGNS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))


@dataclass(frozen=True)
class Perspective(GeometricTransform):
    """Pull each corner inwards by its own random amounts: eight coordinates.

    :param distortion: how far, in x and in y, as a share of half the image; from 0 to 0.66, since from 2/3 on the four
        corners may no longer be a convex quadrilateral.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for a distortion outside these bounds, and an unknown mode or padding.
    """

    distortion: Range = Uniform(0.0, 0.25)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {"distortion": "share of half the image"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("distortion", self.distortion, low=0, high=0.66)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        assert isinstance(self.distortion, Distribution)
        return {f"{corner}_{axis}": self.distortion for corner in CORNERS for axis in "xy"}

    @property
    def projective(self) -> bool:
        return True

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        # Corners in units of half the image from its centre, (4, 2, B): corner, axis, image.
        shares = torch.stack([values[name] for name in self.parameters]).view(4, 2, -1)
        outward = constant(_CORNER_SIGNS, shares.dtype, shares.device)[:, :, None]
        p0, p1, p2, p3 = ((1 - shares) * outward).unbind(0)
        # The homography from the unit square to a quadrilateral in closed form (P. Heckbert, "Fundamentals of texture
        # mapping and image warping", 1989, section 2.2.3); a linear solver would wait for the device.
        (sum_x, sum_y), (right_x, right_y), (left_x, left_y) = p0 - p1 + p2 - p3, p1 - p2, p3 - p2
        area = right_x * left_y - left_x * right_y
        g = (sum_x * left_y - left_x * sum_y) / area
        h = (right_x * sum_y - sum_x * right_y) / area
        upper = torch.stack((p1 - p0 + g * p1, p3 - p0 + h * p3, p0), dim=2)
        lower = torch.stack((g, h, torch.ones_like(g)), dim=1)
        quadrilateral = torch.cat((upper, lower[None])).transpose(0, 1)
        half_x, half_y = max(frame.width - 1, 1) / 2, max(frame.height - 1, 1) / 2
        square = ((0.5 / half_x, 0.0, 0.5), (0.0, 0.5 / half_y, 0.5), (0.0, 0.0, 1.0))
        from_pixels = constant(square, shares.dtype, shares.device).expand_as(quadrilateral)
        to_pixels = constant(((half_x,), (half_y,), (1.0,)), shares.dtype, shares.device)
        return to_pixels * multiply(quadrilateral, from_pixels)

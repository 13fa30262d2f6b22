"""Displacement fields: geometry that no matrix describes. They share one sampling with their geometric neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.hashing import hash_field
from art_domainrand.randomization.core.distributions import Distribution, LogUniform, Range, Uniform, require_support
from art_domainrand.randomization.core.moving import DisplacementTransform
from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.numerics.matrices import Rows, constant, multiply
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, Sampling, broadcast
from art_domainrand.randomization.numerics.splines import spline_surface
from art_domainrand.randomization.numerics.warp import resample


@dataclass(frozen=True)
class Elastic(DisplacementTransform):
    """Bend the image like rubber: a smooth random displacement field.

    The field is a cubic B-spline whose control points are displaced independently and evenly (a free-form deformation:
    Rueckert et al., IEEE TMI 1999). Beyond the image it stays what it is at the border.

    :param strength: how far a control point is displaced at most in x and in y, as a share of a cell; from 0 to 0.48,
        below which the field cannot fold (Choi and Lee, "Injectivity conditions of 2D and 3D uniform cubic B-spline
        functions", Graphical Models 2000).
    :param cells: the spline is laid over ``cells`` x ``cells`` cells; an int >= 1.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for values outside these bounds, and an unknown mode or padding.
    """

    strength: Range = Uniform(0.0, 0.4)
    cells: int = 4
    mode: str = "bilinear"
    padding: str = "zeros"
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"strength": "cells"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0, high=0.48)
        if isinstance(self.cells, bool) or not isinstance(self.cells, int) or self.cells < 1:
            raise ValueError(f"cells must be an int >= 1, got {self.cells!r}")

    def displacement(self, points: Coords, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        field = self.field(values, frame)
        if not points.lattice:
            # The field between the pixels is the straight line between its values at them.
            field = resample(field, points, Sampling(padding="border"))
        return field[:, 0], field[:, 1]

    def field(self, values: Values, frame: Frame) -> Tensor:
        """The displacement at every pixel, (B, 2, H, W): right, then down, in pixels.

        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        """
        strength = values["strength"]
        count = self.cells + 3
        bits = hash_field(values["seed"], 2 * count * count).view(-1, 2, count, count)
        cell = constant(
            (((frame.width - 1) / self.cells,), ((frame.height - 1) / self.cells,)), strength.dtype, strength.device
        )
        controls = bits.to(strength.dtype) * 2.0**-31 * (strength.view(-1, 1, 1, 1) * cell[:, :, None])
        return spline_surface(controls, frame.height, frame.width)


@dataclass(frozen=True)
class ThinPlate(DisplacementTransform):
    """Bend the image like a thin plate that is held at 3 x 3 points: corners, middles of the sides, and centre.

    Each point is displaced on its own in x and in y: 18 coordinates. Between them the plate takes the shape of least
    bending energy (Bookstein, "Principal warps", IEEE TPAMI 1989), in coordinates that run from -1 to 1 over the image.

    :param distortion: the displacement, as a share of half the image; from -0.2 to 0.2, within which the plate cannot
        fold inside the image.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for a distortion outside these bounds, and an unknown mode or padding.
    """

    distortion: Range = Uniform(-0.15, 0.15)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {"distortion": "share of half the image"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("distortion", self.distortion, low=-0.2, high=0.2)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        assert isinstance(self.distortion, Distribution)
        return {f"{row}_{column}_{axis}": self.distortion for row in _ROWS for column in _COLUMNS for axis in "xy"}

    def displacement(self, points: Coords, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        shares = torch.stack([values[name] for name in self.parameters], dim=1).view(-1, 9, 2).transpose(1, 2)
        coefficients = multiply(shares, constant(_plate(), shares.dtype, shares.device).expand(len(shares), -1, -1))
        half_x, half_y = max(frame.width - 1, 1) / 2, max(frame.height - 1, 1) / 2
        x, y = broadcast(points.x / half_x, points.y / half_y)
        shape, (x, y) = x.shape[1:], (x.flatten(1)[:, None], y.flatten(1)[:, None])
        holds = constant(_HOLDS, shares.dtype, shares.device)
        squared = (x - holds[:, :1]).square() + (y - holds[:, 1:]).square()
        bending = squared * torch.log(squared + 1e-30)  # the constant matters at zero alone, where the product is zero
        basis = torch.cat((bending, torch.ones_like(x), x, y), dim=1)
        bent = multiply(coefficients, basis.expand(len(shares), -1, -1)).view(-1, 2, *shape)
        return bent[:, 0] * half_x, bent[:, 1] * half_y


@dataclass(frozen=True)
class LensDistortion(DisplacementTransform):
    """Radial distortion of a lens: what appears at radius r was at r (1 + ``k1`` r^2 + ``k2`` r^4).

    Radii are in units of half the image's diagonal (Brown, "Close-range camera calibration", 1971). Beyond radius one
    the curve goes on straight, so that it is one to one everywhere.

    :param k1: the first coefficient: positive is a barrel (a fisheye looks so), negative a pincushion.
    :param k2: the second coefficient.
    :param x: how far right of the image's centre the lens's lies, as a share of the width.
    :param y: how far below it, as a share of the height.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for values beyond 1000 either way, an unknown mode or padding, and for coefficients with which
        the image could fold: the curve must rise all the way to radius one, 1 + 3 k1 r^2 + 5 k2 r^4 > 0.
    """

    k1: Range = Uniform(-0.2, 0.5)
    k2: Range = Uniform(0.0, 0.0)
    x: Range = Uniform(0.0, 0.0)
    y: Range = Uniform(0.0, 0.0)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {
        "k1": "coefficient",
        "k2": "coefficient",
        "x": "share of the width",
        "y": "share of the height",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("k1", "k2", "x", "y"):
            require_support(name, getattr(self, name), low=-_LARGEST, high=_LARGEST)
        k1, k2 = self.parameters["k1"].support[0], self.parameters["k2"].support[0]
        # The slope 1 + 3 k1 s + 5 k2 s^2 over s = r^2 from 0 to 1; it is least for the least coefficients.
        turning = min(max(-0.3 * k1 / k2, 0.0), 1.0) if k2 > 0 else 1.0
        slope = 1 + 3 * k1 * turning + 5 * k2 * turning**2
        if slope <= 0:
            raise ValueError(f"1 + 3 k1 r^2 + 5 k2 r^4 must be > 0 up to r = 1, got {slope:g} for k1={k1:g}, k2={k2:g}")

    def displacement(self, points: Coords, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        k1, k2, centre_x, centre_y = (values[name].view(-1, 1, 1) for name in ("k1", "k2", "x", "y"))
        half_diagonal = math.hypot(frame.width - 1, frame.height - 1) / 2 or 1.0
        x, y = points.x - centre_x * frame.width, points.y - centre_y * frame.height
        squared = x.square() * half_diagonal**-2 + y.square() * half_diagonal**-2
        inside = squared.clamp(max=1)
        # (f(1) + f'(1) (r - 1)) / r - f(1) for r > 1, with f'(1) - f(1) = 2 k1 + 4 k2.
        beyond = (2 * k1 + 4 * k2) * (1 - squared.clamp(min=1).rsqrt())
        share = inside * (k1 + k2 * inside) + beyond
        return x * share, y * share


@dataclass(frozen=True)
class RollingShutter(DisplacementTransform):
    """The camera moves while the sensor is read out row by row, from the top row to the bottom one.

    :param x: how far it pans to the right during one readout, as a share of the width; the middle row stays in place.
    :param y: how far it pans down, as a share of the height; from -0.9 to 1000.
    :param wobble: how far it shakes sideways, as a share of the width; from 0 to 1.
    :param frequency: how many times it shakes during one readout; from 0 to 1000.
    :param phase: where in the shake the middle row is read, in turns.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for values outside these bounds, and an unknown mode or padding.
    """

    x: Range = Uniform(-0.1, 0.1)
    y: Range = Uniform(-0.1, 0.1)
    wobble: Range = Uniform(0.0, 0.02)
    frequency: Range = LogUniform(0.5, 3.0)
    phase: Range = Uniform(0.0, 1.0)
    mode: str = "bilinear"
    padding: str = "zeros"
    units: ClassVar[Mapping[str, str]] = {
        "x": "share of the width",
        "y": "share of the height",
        "wobble": "share of the width",
        "frequency": "per readout",
        "phase": "turns",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("y", self.y, low=-0.9, high=_LARGEST)
        require_support("wobble", self.wobble, low=0, high=1)
        require_support("frequency", self.frequency, low=0, high=_LARGEST)

    def displacement(self, points: Coords, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        return self._aside(points.y, values, frame), points.y * values["y"].view(-1, 1, 1)

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        if way.backward:
            return super().carry(points, values, frame, way)
        row = points.y / (1 + values["y"].view(-1, 1, 1))
        return points.moved(points.x - self._aside(row, values, frame), row)

    def _aside(self, row: Tensor, values: Values, frame: Frame) -> Tensor:
        """How far to the side the camera looks when it reads a row."""
        x, wobble, frequency, phase = (values[name].view(-1, 1, 1) for name in ("x", "wobble", "frequency", "phase"))
        time = row / frame.height
        aside: Tensor = frame.width * (x * time + wobble * torch.sin(2 * math.pi * (frequency * time + phase)))
        return aside


_LARGEST = 1e3
"""A bound for coefficients that have no other: far beyond use, and finite in float32."""

_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
_HOLDS: Rows = tuple((float(x), float(y)) for y in (-1, 0, 1) for x in (-1, 0, 1))
"""Where a thin plate is held, (x, y), in the order of its parameters."""


@lru_cache(maxsize=1)
def _plate() -> Rows:
    """From the displacements at the holds to the coefficients of the plate: (9, 12), constant as the holds are.

    The coefficients are those of r^2 log r^2 about each hold, then of 1, x and y. The plate goes through the
    displacements, and its nine bending coefficients have no mean, no x and no y moment.
    """
    holds = np.asarray(_HOLDS)
    squared = np.square(holds[:, None] - holds[None]).sum(2)
    bending = squared * np.log(np.where(squared > 0, squared, 1.0))
    plane = np.concatenate((np.ones((9, 1)), holds), axis=1)
    system = np.block([[bending, plane], [plane.T, np.zeros((3, 3))]])
    return tuple(map(tuple, np.linalg.inv(system)[:, :9].T.tolist()))

"""Blur of lenses and motion: kernels of two dimensions, zoom, frosted glass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from kornia.filters import filter2d
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import uniform_field
from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.convolution import convolve, gaussian_kernel
from art_domainrand.randomization.numerics.matrices import is_channels_last
from art_domainrand.randomization.numerics.positions import Sampling
from art_domainrand.randomization.numerics.warp import warp


@dataclass(frozen=True)
class MotionBlur(PixelTransform):
    """Smear along a straight line, the image mirrored at its border.

    The line is one pixel wide, with smooth edges, and symmetric about the pixel.

    :param length: its length in pixels, >= 0 and bounded; 0 is no motion.
    :param angle: its direction in degrees, 0 to the right and 90 down.
    :param bias: from -1 to 1; makes the trace brighter towards its end (or its start), as motion that slows down does.
    :raises ValueError: for values outside these bounds.
    """

    length: Range = Uniform(1.0, 9.0)
    angle: Range = Uniform(0.0, 180.0)
    bias: Range = Uniform(-1.0, 1.0)
    units: ClassVar[Mapping[str, str]] = {"length": "pixels", "angle": "degrees", "bias": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("length", self.length, low=0)
        require_support("bias", self.bias, low=-1, high=1)
        require_finite("length", self.length)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        radius = math.ceil(largest(self.length) / 2)
        return convolve_planes(x, line_kernel(values["length"], values["angle"], values["bias"], radius))


@dataclass(frozen=True)
class DefocusBlur(PixelTransform):
    """Blur by a disk, the picture of a point out of focus; the image is mirrored at its border.

    The disk's edge is smooth over one pixel; below half a pixel of radius it fades to no blur.

    :param radius: the disk's radius in pixels, >= 0 and bounded.
    :raises ValueError: for values outside these bounds.
    """

    radius: Range = Uniform(0.5, 4.0)
    units: ClassVar[Mapping[str, str]] = {"radius": "pixels"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("radius", self.radius, low=0)
        require_finite("radius", self.radius)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return convolve_planes(x, soft_disk(values["radius"], math.ceil(largest(self.radius))))


@dataclass(frozen=True)
class ZoomBlur(PixelTransform):
    """Average the image over magnifications, as a lens zoomed during the exposure does.

    2^``steps`` magnifications in geometric progression cost ``steps`` + 1 resamplings only: averaging an image and its
    copy zoomed by f, then that and its copy zoomed by f^2, and so on, adds up all powers of f. All of it is drawn in by
    the one factor with which the centre of gravity of whatever is smeared stays in place, so that labels stay too; the
    image is mirrored at its border.

    :param zoom: the largest magnification, >= 1 and bounded; the smallest is 1.
    :param steps: the logarithm to base 2 of the number of magnifications, an int from 1 to 8.
    :raises ValueError: for values outside these bounds.
    """

    zoom: Range = Uniform(1.0, 1.25)
    steps: int = 4
    units: ClassVar[Mapping[str, str]] = {"zoom": "factor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("zoom", self.zoom, low=1)
        require_finite("zoom", self.zoom)
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or not 1 <= self.steps <= 8:
            raise ValueError(f"steps must be an int from 1 to 8, got {self.steps!r}")

    def apply(self, x: Tensor, values: Values) -> Tensor:
        least = torch.log(values["zoom"]) / (2**self.steps - 1)
        powers = [torch.exp(least * 2**step) for step in range(self.steps)]
        # A copy zoomed by f is f^2 times as large, and moved to f times its place: the centre of gravity moves by the
        # mean of f^3 over that of f^2, both of which are products over the steps.
        drawn_in = torch.ones_like(least)
        for power in powers:
            drawn_in = drawn_in * (1 + power**2) / (1 + power**3)
        mirrored = Sampling(padding="reflection")
        first = _zoomed(x, drawn_in * powers[0], mirrored)
        x = 0.5 * (_zoomed(x, drawn_in, mirrored) + first)
        for power in powers[1:]:
            x = 0.5 * (x + _zoomed(x, power, mirrored))
        return x


@dataclass(frozen=True)
class GlassBlur(PixelTransform):
    """Look through frosted glass: every pixel reads from a random place nearby.

    Read bilinearly, the image mirrored at its border, then smoothed by a Gaussian.

    :param distance: how far away that place may be on either axis, in pixels; >= 0.
    :param sigma: the standard deviation of the Gaussian in pixels, >= 0 and bounded.
    :raises ValueError: for values outside these bounds.
    """

    distance: Range = Uniform(0.5, 2.5)
    sigma: Range = Uniform(0.2, 0.8)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"distance": "pixels", "sigma": "pixels"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("distance", self.distance, low=0)
        require_support("sigma", self.sigma, low=0)
        require_finite("sigma", self.sigma)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        height, width = x.shape[2:]
        offsets = uniform_field(values["seed"], 2 * height * width, x.dtype).view(len(x), 2, height, width)
        offsets = (2 * offsets - 1) * values["distance"].view(-1, 1, 1, 1)
        # Coordinates of grid_sample with align_corners=False: one pixel is 2 / size.
        columns, rows = (
            (torch.arange(size, dtype=x.dtype, device=x.device) * 2 + 1) / size - 1 for size in (width, height)
        )
        grid = torch.stack((columns + offsets[:, 0] * (2 / width), rows[:, None] + offsets[:, 1] * (2 / height)), dim=3)
        read = functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        radius = math.ceil(3 * largest(self.sigma))
        across, down = (gaussian_kernel(values["sigma"], min(radius, size - 1)) for size in (width, height))
        return convolve(read, across, down)


def line_kernel(length: Tensor, angle: Tensor, bias: Tensor, radius: int) -> Tensor:
    """Lines through the centre as (B, 2 radius + 1, 2 radius + 1) weights of sum one; all arguments are (B,).

    A pixel's weight is the overlap of two tents of one pixel: across the line, and past its ends.
    """
    rows, columns = _square(radius, length)
    radians = torch.deg2rad(angle).view(-1, 1, 1)
    cosine, sine = torch.cos(radians), torch.sin(radians)
    along = columns * cosine + rows * sine
    across = (rows * cosine - columns * sine).abs()
    length = length.view(-1, 1, 1)
    inside = (length / 2 + 1 - along.abs()).clamp(0, 1)
    trace = 1 + bias.view(-1, 1, 1) * (along * 2 / (length + 2))
    return summing_to_one((1 - across).clamp_min(0) * inside * trace)


def soft_disk(radius: Tensor, reach: int) -> Tensor:
    """Disks of ``radius`` (B,) pixels as (B, 2 reach + 1, 2 reach + 1) weights of sum one, edges one pixel soft."""
    rows, columns = _square(reach, radius)
    distance = (rows.square() + columns.square()).sqrt()
    return summing_to_one((radius.view(-1, 1, 1) + 0.5 - distance).clamp(0, 1))


def convolve_planes(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each image of ``x`` (B, C, H, W) with its own ``kernel`` (B, K, K), K odd; mirrored at the border.

    Where the image is too small to be mirrored that far, the kernel's outer part is cut off and the rest scaled up.
    """
    height, width = x.shape[2:]
    half = kernel.shape[1] // 2
    reach_y, reach_x = min(half, height - 1), min(half, width - 1)
    if reach_y < half or reach_x < half:
        kernel = kernel[:, half - reach_y : half + reach_y + 1, half - reach_x : half + reach_x + 1]
        kernel = summing_to_one(kernel)
    x = x.contiguous() if is_channels_last(x) else x
    if len(x) * x.shape[1] == 1:  # a single plane takes another algorithm, with other roundings: it goes in twice
        return convolve_planes(x.expand(2, -1, -1, -1), kernel.expand(2, -1, -1))[:1]
    blurred: Tensor = filter2d(x, kernel, border_type="reflect", behaviour="conv")
    return blurred


def summing_to_one(kernel: Tensor) -> Tensor:
    """Scale each kernel (B, K, L) to sum one, adding up in an order that does not depend on the batch."""
    row = kernel[:, 0]
    for other in kernel.unbind(1)[1:]:
        row = row + other
    total = row[:, 0]
    for column in row.unbind(1)[1:]:
        total = total + column
    return kernel / total.view(-1, 1, 1)


def require_finite(name: str, distribution: Range) -> None:
    """Raise ValueError if the argument ``name`` can grow without bound: a kernel must have a size."""
    if math.isinf(largest(distribution)):
        raise ValueError(f"{name} must be bounded, got {distribution}")


def largest(distribution: Range) -> float:
    """The largest value a parameter can take."""
    assert isinstance(distribution, Distribution)
    return distribution.support[1]


def _square(radius: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each place of a kernel, from its centre."""
    place = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    return place[:, None], place[None, :]


def _zoomed(x: Tensor, factor: Tensor, sampling: Sampling) -> Tensor:
    """``x`` (B, C, H, W) magnified by ``factor`` (B,) about the centre."""
    matrix = torch.diag_embed(torch.stack((factor, factor, torch.ones_like(factor)), dim=1))
    return warp(x, matrix, sampling, projective=False)

"""Colour: linear mixtures of the channels, which fuse, and the two nonlinear ones, gamma and the hue of HSV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from kornia.color import hsv_to_rgb, rgb_to_hsv
from torch import Tensor

from .distributions import LogUniform, Range, Uniform, require_support
from .linear import constant
from .transform import ColorTransform, Frame, PixelTransform, Values, require_rgb

LUMA = (0.299, 0.587, 0.114)
"""The grey value of an RGB pixel (ITU-R BT.601, as in Kornia and PIL)."""

# Chrominance of the NTSC colour space YIQ: rows I and Q of RGB -> YIQ, and their columns of the inverse.
_IQ = ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class Brightness(ColorTransform):
    """Add one constant, ``shift``, to every channel of an image; in units of [0, 1]."""

    shift: Range = Uniform(-0.2, 0.2)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        shift = values["shift"]
        return affine_color(torch.ones_like(shift), shift, frame)


@dataclass(frozen=True)
class Contrast(ColorTransform):
    """Move every pixel away from a pivot by ``factor``: x -> pivot + factor (x - pivot).

    ``pivot`` is "mean", the image's mean grey value (luma of RGB, else the mean of the channels), or a number.
    """

    factor: Range = LogUniform(0.7, 1.4)
    pivot: Literal["mean"] | float = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0)
        if self.pivot != "mean" and not (isinstance(self.pivot, (int, float)) and math.isfinite(self.pivot)):
            raise ValueError(f'pivot must be "mean" or a finite number, got {self.pivot!r}')

    @property
    def needs_mean(self) -> bool:
        return self.pivot == "mean"

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        factor = values["factor"]
        pivot = self.pivot if isinstance(self.pivot, (int, float)) else mean_grey(frame)
        return affine_color(factor, (1 - factor) * pivot, frame)


@dataclass(frozen=True)
class Saturation(ColorTransform):
    """Blend an RGB image with its grey version: 0 is grey, 1 unchanged, above 1 more colourful."""

    factor: Range = Uniform(0.6, 1.4)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        require_rgb(self, frame.channels)
        return blend_with_grey(1 - values["factor"])


@dataclass(frozen=True)
class Grayscale(ColorTransform):
    """Fade an RGB image to grey: ``amount`` 0 is unchanged, 1 has equal channels."""

    amount: Range = Uniform(0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        require_rgb(self, frame.channels)
        return blend_with_grey(values["amount"])


@dataclass(frozen=True)
class Invert(ColorTransform):
    """Fade an image to its negative: ``amount`` 0 is unchanged, 0.5 flat grey, 1 is 1 - x."""

    amount: Range = Uniform(0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        amount = values["amount"]
        return affine_color(1 - 2 * amount, amount, frame)


@dataclass(frozen=True)
class Hue(ColorTransform):
    """Turn the chrominance plane of YIQ by ``shift`` degrees, from red through yellow to green.

    Linear, so it fuses and has a gradient everywhere, and it keeps the luma; :class:`HSVHue` is the nonlinear one.
    """

    shift: Range = Uniform(-18.0, 18.0)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        require_rgb(self, frame.channels)
        radians = torch.deg2rad(values["shift"])[:, None, None]
        luma, chroma, turned = (constant(rows, radians.dtype, radians.device) for rows in _HUE_BASIS)
        mixed = luma + torch.cos(radians) * chroma + torch.sin(radians) * turned
        return torch.cat((mixed, torch.zeros_like(mixed[:, :, :1])), dim=2)


@dataclass(frozen=True)
class HSVHue(PixelTransform):
    """Turn the hue of HSV by ``shift`` degrees (Kornia's conversions): exact, slower, and it does not fuse.

    Values outside [0, 1] are mapped by the same formulas. The gradient is one-sided where two channels are equal.
    """

    shift: Range = Uniform(-18.0, 18.0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        require_rgb(self, x.shape[1])
        hue, saturation, value = rgb_to_hsv(x).unbind(1)
        turned = torch.remainder(hue + torch.deg2rad(values["shift"])[:, None, None], 2 * math.pi)
        changed: Tensor = hsv_to_rgb(torch.stack((turned, saturation, value), dim=1))
        return changed


@dataclass(frozen=True)
class WhiteBalance(ColorTransform):
    """Change the colour of the light on an RGB image by gains that leave no channel below zero.

    Red is multiplied by exp(``temperature``) and blue by exp(-``temperature``): above zero is warmer. Green is
    multiplied by exp(-``tint``): above zero is more magenta.
    """

    temperature: Range = Uniform(-0.2, 0.2)
    tint: Range = Uniform(-0.1, 0.1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        require_rgb(self, frame.channels)
        temperature = values["temperature"]
        gains = torch.exp(torch.stack((temperature, -values["tint"], -temperature), dim=1))
        return torch.cat((torch.diag_embed(gains), torch.zeros_like(gains[:, :, None])), dim=2)


@dataclass(frozen=True)
class Gamma(PixelTransform):
    """Raise every pixel to the power ``gamma``; below 1 brightens.

    From ``TOE`` downwards, through black and negative values, the curve goes on as the straight line through the
    origin, so that value and gradient are finite: x^gamma alone has an infinite slope at black for gamma < 1.
    """

    gamma: Range = LogUniform(0.7, 1.4)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("gamma", self.gamma, low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        gamma = values["gamma"].view(-1, 1, 1, 1)
        safe = x.clamp_min(TOE)
        slope = torch.exp((gamma - 1) * math.log(TOE))
        return torch.exp(torch.log(safe) * gamma) + (x - safe) * slope


TOE = 1 / 1024
"""Where :class:`Gamma` becomes linear: a quarter of the smallest nonzero value of an 8-bit image."""


def affine_color(gain: Tensor, offset: Tensor, frame: Frame) -> Tensor:
    """The (B, C, C + 1) matrix of x -> gain x + offset, the same for all channels; both are (B,)."""
    diagonal = torch.diag_embed(gain[:, None].expand(-1, frame.channels))
    return torch.cat((diagonal, offset[:, None, None].expand(-1, frame.channels, 1)), dim=2)


def blend_with_grey(amount: Tensor) -> Tensor:
    """The (B, 3, 4) matrix of x -> (1 - amount) x + amount luma(x)."""
    share = amount[:, None, None]
    identity, grey = (constant(rows, amount.dtype, amount.device) for rows in (_IDENTITY, _GREY))
    mixed = (1 - share) * identity + share * grey
    return torch.cat((mixed, torch.zeros_like(mixed[:, :, :1])), dim=2)


def mean_grey(frame: Frame) -> Tensor:
    """The mean grey value of each image, (B,): luma of three channels, else the plain mean of all."""
    assert frame.mean is not None
    channels = frame.mean.unbind(1)
    weights = LUMA if frame.channels == 3 else (1 / frame.channels,) * frame.channels
    total = channels[0] * weights[0]
    for weight, channel in zip(weights[1:], channels[1:], strict=True):
        total = total + channel * weight
    return total


Rows = tuple[tuple[float, ...], ...]

_IDENTITY: Rows = tuple(tuple(float(i == j) for j in range(3)) for i in range(3))
_GREY: Rows = (LUMA, LUMA, LUMA)


def _hue_basis() -> tuple[Rows, Rows, Rows]:
    """Write the YIQ rotation as luma + cos * chroma + sin * turned, three constant matrices.

    With T: RGB -> YIQ it is inverse(T) rotation T. Grey stays grey because the rows of I and Q are made to sum to zero.
    """
    centred = [[weight - sum(row) / 3 for weight in row] for row in _IQ]
    to_yiq = torch.tensor([list(LUMA), *centred], dtype=torch.float64)
    to_rgb = torch.linalg.inv(to_yiq)
    keep = torch.diag(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    chroma = torch.diag(torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64))
    turn = torch.tensor([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    luma, same, turned = ((to_rgb @ part @ to_yiq).tolist() for part in (keep, chroma, turn))
    return _rows(luma), _rows(same), _rows(turned)


def _rows(matrix: list[list[float]]) -> Rows:
    return tuple(tuple(row) for row in matrix)


_HUE_BASIS = _hue_basis()

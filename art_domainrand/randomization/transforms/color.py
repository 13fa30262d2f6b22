"""Colour: linear mixtures of the channels, which fuse, and the hue of HSV."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar, Literal

import torch
from kornia.enhance import adjust_brightness, adjust_hue
from torch import Tensor

from art_domainrand.randomization.core.distributions import Constant, LogUniform, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import ColorTransform, PixelTransform, Values, require_rgb
from art_domainrand.randomization.numerics.color_maps import scale_about_sums, scale_channels
from art_domainrand.randomization.numerics.luma import LUMA, negative
from art_domainrand.randomization.numerics.matrices import Rows, combine, constant
from art_domainrand.randomization.numerics.positions import Frame, frame_of

# Chrominance of the NTSC colour space YIQ: rows I and Q of RGB -> YIQ, and their columns of the inverse.
_IQ = ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


class ChannelwiseTransform(ColorTransform):
    """Changes each channel on its own: where it does not fuse, it needs no matrix product."""

    @abstractmethod
    def scaling(self, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        """The diagonal and the last column of ``matrix``: gains and offsets, (B, C) each, or (B, 1).

        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        """

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return scale_channels(x, *self.scaling(values, frame_of(x)))


@dataclass(frozen=True)
class Brightness(ColorTransform):
    """Add one constant to every channel of an image.

    :param shift: the constant, in units of [0, 1].
    """

    shift: Range = Uniform(-0.2, 0.2)
    units: ClassVar[Mapping[str, str]] = {"shift": "intensity"}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        return combine(unchanged(frame.channels), (values["shift"], one_offset(frame.channels)))

    def apply(self, x: Tensor, values: Values) -> Tensor:
        shifted: Tensor = adjust_brightness(x, values["shift"], clip_output=False)
        return shifted


@dataclass(frozen=True)
class Contrast(ColorTransform):
    """Move every pixel away from a pivot: x -> pivot + factor (x - pivot).

    :param factor: >= 0; 0 is flat, 1 unchanged, above 1 more contrast.
    :param pivot: "mean", the mean grey value (luma of RGB, else the mean of the channels), or a finite intensity.
    :raises ValueError: for values outside these bounds.
    """

    factor: Range = LogUniform(0.7, 1.4)
    pivot: Literal["mean"] | float = "mean"
    units: ClassVar[Mapping[str, str]] = {"factor": "factor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0)
        if self.pivot != "mean" and not (isinstance(self.pivot, (int, float)) and math.isfinite(self.pivot)):
            raise ValueError(f'pivot must be "mean" or a finite number, got {self.pivot!r}')

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        away = 1 - values["factor"]
        if self.pivot == "mean":
            return combine(unchanged(frame.channels, means=True), (away, _to_mean_grey(frame.channels)))
        offset = (away * self.pivot, one_offset(frame.channels))
        return combine(unchanged(frame.channels), (-away, unchanged(frame.channels)), offset)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        factor = values["factor"][:, None]
        if self.pivot != "mean":
            return scale_channels(x, factor, (1 - factor) * self.pivot)
        if not x.is_contiguous():
            return super().apply(x, values)
        weights = constant(_sums_to_mean_grey(x.shape[1], x.shape[2] * x.shape[3]), x.dtype, x.device)
        return scale_about_sums(x, factor, (1 - factor) * weights)


@dataclass(frozen=True)
class Saturation(ColorTransform):
    """Blend an RGB image with its grey version.

    :param factor: >= 0; 0 is grey, 1 unchanged, above 1 more colourful.
    :raises ValueError: for a negative factor.
    """

    factor: Range = Uniform(0.6, 1.4)
    units: ClassVar[Mapping[str, str]] = {"factor": "factor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0)

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        self.check_channels(frame.channels)
        return combine(unchanged(3), (1 - values["factor"], _TO_GREY))


@dataclass(frozen=True)
class Grayscale(ColorTransform):
    """Fade an RGB image to grey.

    :param amount: the share of grey, in [0, 1]: 0 is unchanged, 1 has equal channels.
    :raises ValueError: for an amount outside [0, 1].
    """

    amount: Range = Uniform(0.0, 1.0)
    units: ClassVar[Mapping[str, str]] = {"amount": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        self.check_channels(frame.channels)
        return combine(unchanged(3), (values["amount"], _TO_GREY))


@dataclass(frozen=True)
class Invert(ChannelwiseTransform):
    """Fade an image to its negative.

    :param amount: the share of the negative, in [0, 1]: 0 is unchanged, 0.5 flat grey, 1 is 1 - x.
    :raises ValueError: for an amount outside [0, 1].
    """

    amount: Range = Uniform(0.0, 1.0)
    units: ClassVar[Mapping[str, str]] = {"amount": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        return combine(unchanged(frame.channels), (values["amount"], _to_negative(frame.channels)))

    def scaling(self, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        amount = values["amount"][:, None]
        return torch.rsub(amount, 1, alpha=2), amount

    def apply(self, x: Tensor, values: Values) -> Tensor:
        if isinstance(self.amount, Constant) and not isinstance(self.amount.value, Tensor):
            share = self.amount.value  # one number for all images: one pass
            return negative(x) if share == 1 else torch.rsub(x, share, alpha=2 * share - 1)
        return super().apply(x, values)


@dataclass(frozen=True)
class Hue(ColorTransform):
    """Turn the chrominance plane of YIQ of an RGB image.

    Linear, so it fuses and has a gradient everywhere, and it keeps the luma; :class:`HSVHue` is the nonlinear one.

    :param shift: degrees, from red through yellow to green.
    """

    shift: Range = Uniform(-18.0, 18.0)
    units: ClassVar[Mapping[str, str]] = {"shift": "degrees"}

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        self.check_channels(frame.channels)
        radians = torch.deg2rad(values["shift"])
        chroma, turned = _HUE_BASIS
        return combine(unchanged(3), (torch.cos(radians) - 1, chroma), (torch.sin(radians), turned))


@dataclass(frozen=True)
class HSVHue(PixelTransform):
    """Turn the hue of HSV of an RGB image (Kornia's ``adjust_hue``): exact, slower, and it does not fuse.

    Values outside [0, 1] are mapped by the same formulas. The gradient is one-sided where two channels are equal.

    :param shift: degrees, from red through yellow to green.
    """

    shift: Range = Uniform(-18.0, 18.0)
    units: ClassVar[Mapping[str, str]] = {"shift": "degrees"}

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        self.check_channels(x.shape[1])
        changed: Tensor = adjust_hue(x, torch.deg2rad(values["shift"]))
        return changed


@dataclass(frozen=True)
class WhiteBalance(ChannelwiseTransform):
    """Change the colour of the light on an RGB image by gains that leave no channel below zero.

    :param temperature: a log gain: red is multiplied by exp(temperature), blue by exp(-temperature); > 0 is warmer.
    :param tint: a log gain: green is multiplied by exp(-tint); > 0 is more magenta.
    """

    temperature: Range = Uniform(-0.2, 0.2)
    tint: Range = Uniform(-0.1, 0.1)
    units: ClassVar[Mapping[str, str]] = {"temperature": "log gain", "tint": "log gain"}

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        gains, offset = self.scaling(values, frame)
        return torch.cat((torch.diag_embed(gains), offset[:, :, None]), dim=2)

    def scaling(self, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        self.check_channels(frame.channels)
        temperature = values["temperature"]
        gains = torch.exp(torch.stack((temperature, -values["tint"], -temperature), dim=1))
        return gains, torch.zeros_like(gains)


@cache
def unchanged(channels: int, *, means: bool = False) -> Rows:
    """[I | 0], with a third block of zeros for the ``means`` if asked for."""
    width = 2 * channels + 1 if means else channels + 1
    return tuple(tuple(float(row == column) for column in range(width)) for row in range(channels))


@cache
def one_offset(channels: int) -> Rows:
    """The pattern of one offset for all channels, [0 | 1]."""
    return ((*(0.0,) * channels, 1.0),) * channels


@cache
def _to_negative(channels: int) -> Rows:
    """From x to 1 - x, [-2 I | 1]."""
    return tuple((*(-2 * value for value in row[:-1]), 1.0) for row in unchanged(channels))


@cache
def _to_mean_grey(channels: int) -> Rows:
    """From x to the mean grey value, [-I | 0 | weights]."""
    return tuple((*(-value for value in row), *_mean_grey(channels)) for row in unchanged(channels))


@lru_cache(maxsize=64)
def _sums_to_mean_grey(channels: int, pixels: int) -> Rows:
    """The weights of the channels' sums in the mean grey value."""
    return (tuple(weight / pixels for weight in _mean_grey(channels)),)


def _mean_grey(channels: int) -> tuple[float, ...]:
    """The weights of the channels in a grey value: luma of three, else the plain mean of all."""
    return LUMA if channels == 3 else (1 / channels,) * channels


# From x to its grey value, [luma - I | 0].
_TO_GREY: Rows = tuple((*(w - value for w, value in zip(LUMA, row, strict=False)), 0.0) for row in unchanged(3))


def _hue_basis() -> tuple[Rows, Rows]:
    """Write the YIQ rotation as I + (cos - 1) * chroma + sin * turned, with two constant matrices.

    With T: RGB -> YIQ it is inverse(T) rotation T. Grey stays grey because the rows of I and Q are made to sum to zero.
    """
    centred = [[weight - sum(row) / 3 for weight in row] for row in _IQ]
    to_yiq = torch.tensor([list(LUMA), *centred], dtype=torch.float64)
    to_rgb = torch.linalg.inv(to_yiq)
    chroma = torch.diag(torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64))
    turn = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
    same, turned = ((to_rgb @ part @ to_yiq).tolist() for part in (chroma, turn))
    return _rows(same), _rows(turned)


def _rows(matrix: list[list[float]]) -> Rows:
    return tuple((*row, 0.0) for row in matrix)


_HUE_BASIS = _hue_basis()

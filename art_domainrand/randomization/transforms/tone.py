"""Tone: curves and filters that follow the values of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from kornia.enhance import adjust_saturation, solarize
from torch import Tensor

from art_domainrand.core.straight_through import snapped, straight_through, wants_gradient
from art_domainrand.randomization.core.distributions import Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values, require_rgb
from art_domainrand.randomization.numerics.elementary import two_to_the

COUNTED = 256
"""The values of an 8-bit image."""


@dataclass(frozen=True)
class Solarize(PixelTransform):
    """Invert what is at least as bright as a threshold: x -> 1 - x.

    The gradient of the image is exact. The threshold moves single pixels by jumps; its gradient is straight-through:
    the central difference over ``2 * REACH``, that is of a threshold spread evenly over that width.

    :param threshold: the threshold, in units of [0, 1].
    """

    threshold: Range = Uniform(0.4, 1.0)
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"threshold": "intensity"}

    REACH: ClassVar[float] = 1 / 32

    def apply(self, x: Tensor, values: Values) -> Tensor:
        threshold = values["threshold"].view(-1, 1, 1, 1)
        changed: Tensor = solarize(x, values["threshold"])
        if not wants_gradient(threshold):
            return changed
        with torch.no_grad():
            jump = (2 * x - 1) * ((x - threshold).abs() < self.REACH) / (2 * self.REACH)
        return straight_through(changed.detach(), changed + jump * threshold)


@dataclass(frozen=True)
class Posterize(PixelTransform):
    """Keep the most significant of the 8 bits of every value, as PIL does.

    The gradients are straight-through: the identity for the image, and for the bits that of the width of a step, each
    value staying where it lies in its step.

    :param bits: how many bits are kept, from 1 to 8, read as the nearest whole number; 8 rounds to whole levels only.
    :raises ValueError: for bits outside these bounds.
    """

    bits: Range = Uniform(2.5, 6.5)
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"bits": "bits"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("bits", self.bits, low=1, high=8)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        bits = values["bits"].view(-1, 1, 1, 1)
        with torch.no_grad():
            step = two_to_the(8 - bits.round()).round_()
            level = (x * (COUNTED - 1)).round_().div_(step).floor_().mul_(step / (COUNTED - 1))
        return snapped(level, x, two_to_the(8 - bits) / (COUNTED - 1))


@dataclass(frozen=True)
class Equalize(PixelTransform):
    """Fade to the image with a flat histogram, each channel on its own.

    Values are counted in 256 levels, clipped to [0, 1] for the counting alone. The gradient of the image is
    straight-through, the identity; that of the amount is exact.

    :param amount: how far to fade, in [0, 1]: 0 is unchanged, 1 is PIL's result.
    :raises ValueError: for an amount outside [0, 1].
    """

    amount: Range = Uniform(0.0, 1.0)
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"amount": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        amount = values["amount"].view(-1, 1, 1, 1)
        with torch.no_grad():
            away = flat_histogram(x) - x
        changed: Tensor = x + amount * away
        return changed


def flat_histogram(x: Tensor) -> Tensor:
    """Equalize the histogram of every channel of ``x`` (B, C, H, W) on 256 levels, by the rule of PIL and Kornia."""
    batch, channels, height, width = x.shape
    levels = (x * (COUNTED - 1)).round_().clamp_(0, COUNTED - 1).to(torch.int64).reshape(batch * channels, -1)
    counts = torch.zeros(batch * channels, COUNTED, dtype=torch.int64, device=x.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels))
    total = counts.cumsum(1)
    # The last level that occurs does not count for the step: it is where the table reaches white.
    last = counts.gather(1, total.argmax(dim=1, keepdim=True))
    step = (height * width - last).div(COUNTED - 1, rounding_mode="floor")
    table = (total - counts + step // 2).div(step.clamp_min(1), rounding_mode="floor").clamp_max(COUNTED - 1)
    same = torch.arange(COUNTED, device=x.device)
    table = torch.where(step > 0, table, same).to(x.dtype) / (COUNTED - 1)
    return table.gather(1, levels).view(x.shape)


@dataclass(frozen=True)
class AutoContrast(PixelTransform):
    """Fade to the image whose channels each span [0, 1].

    A channel of a single value stays as it is.

    :param amount: how far to fade, in [0, 1]: 0 is unchanged, 1 is fully stretched.
    :raises ValueError: for an amount outside [0, 1].
    """

    amount: Range = Uniform(0.0, 1.0)
    units: ClassVar[Mapping[str, str]] = {"amount": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        amount = values["amount"].view(-1, 1, 1, 1)
        low, high = (edge[:, :, None, None] for edge in (x.amin((2, 3)), x.amax((2, 3))))
        span = high - low
        flat = span == 0
        stretch = torch.where(flat, 1.0, 1 / torch.where(flat, 1.0, span))
        # x + amount ((x - low) stretch - x), as one gain and one offset.
        changed: Tensor = x * (1 + amount * (stretch - 1)) - torch.where(flat, 0.0, amount * low * stretch)
        return changed


@dataclass(frozen=True)
class Sharpness(PixelTransform):
    """Move the image away from its smoothed version.

    The smooth version is PIL's: the 3x3 kernel of ones with a centre of 5, over 13; the outermost pixels stay.

    :param factor: >= 0; 0 is smooth, 1 unchanged, 2 sharper.
    :raises ValueError: for a negative factor.
    """

    factor: Range = Uniform(0.0, 3.0)
    units: ClassVar[Mapping[str, str]] = {"factor": "factor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        if min(x.shape[2:]) < 3:
            return x.clone()
        excess = (values["factor"].view(-1, 1, 1, 1) - 1) / 13
        inner = x[:, :, 1:-1, 1:-1]
        rows = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
        nine = rows[:, :, :, :-2] + rows[:, :, :, 1:-1] + rows[:, :, :, 2:]
        # 13 (inner - smooth) = 9 inner - nine
        changed: Tensor = x.clone()
        changed[:, :, 1:-1, 1:-1] = inner + (9 * inner - nine) * excess
        return changed


@dataclass(frozen=True)
class HSVSaturation(PixelTransform):
    """Multiply the saturation of HSV of an RGB image (Kornia's ``adjust_saturation``): hue and value stay.

    Saturation ends at 1, where the gradient of the factor is zero; :class:`Saturation` is the linear one, which fuses.

    :param factor: >= 0; at 0 all channels have the value of the largest, 1 is unchanged, above 1 more colourful.
    :raises ValueError: for a negative factor.
    """

    factor: Range = Uniform(0.6, 1.4)
    units: ClassVar[Mapping[str, str]] = {"factor": "factor"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("factor", self.factor, low=0)

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        self.check_channels(x.shape[1])
        changed: Tensor = adjust_saturation(x, values["factor"])
        return changed

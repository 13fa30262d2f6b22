"""The camera's sensor: noise that depends on the light, defective pixels, few levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.hashing import hash_field, normal_field
from art_domainrand.core.straight_through import snapped, straight_through, wants_gradient
from art_domainrand.randomization.core.distributions import LogUniform, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.elementary import two_to_the
from art_domainrand.randomization.numerics.poisson import poisson_field


@dataclass(frozen=True)
class ShotNoise(PixelTransform):
    """Count photons: each value is a Poisson number, over the count at white.

    The number's mean is ``photons`` x, so the mean of the result is x and its variance x / ``photons``; a value below
    zero counts nothing. The gradients are straight-through: the identity for the image, which is that of the mean, and
    for ``photons`` that of noise whose standard deviation falls with its square root.

    :param photons: the mean count at white, >= 0.001.
    :raises ValueError: for a smaller count.
    """

    photons: Range = LogUniform(20.0, 500.0)
    seeded: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"photons": "photons"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("photons", self.photons, low=1e-3)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        photons = values["photons"].view(-1, 1, 1, 1)
        with torch.no_grad():
            counts = poisson_field(x.clamp_min(0) * photons, values["seed"])
            noisy = counts.div_(photons)
        if not wants_gradient(x, photons):
            return noisy
        if not photons.requires_grad:
            return straight_through(noisy, x)
        held = (noisy - x.detach()) * photons.detach().sqrt()
        return straight_through(noisy, x + held * torch.rsqrt(photons))


@dataclass(frozen=True)
class ImpulseNoise(PixelTransform):
    """Salt and pepper: replace some of all values by 1 or by 0.

    The gradient of the image is exact: zero where a value is replaced, else one. The amounts decide by jumps; their
    gradient is straight-through, that of the mean (1 - amount) x + amount salt.

    :param amount: the share of values that are replaced, in [0, 1].
    :param salt: the share of these that become 1, in [0, 1].
    :raises ValueError: for a share outside [0, 1].
    """

    amount: Range = Uniform(0.0, 0.1)
    salt: Range = Uniform(0.3, 0.7)
    seeded: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"amount": "share", "salt": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("amount", self.amount, low=0, high=1)
        require_support("salt", self.salt, low=0, high=1)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        amount, salt = (values[name].view(-1, 1, 1, 1) for name in ("amount", "salt"))
        with torch.no_grad():
            # Thresholds on the signed hash; in float64, which holds every int32.
            number = hash_field(values["seed"], x[0].numel()).view(x.shape)
            changed, salted = ((share.double() * 2.0**32 - 2.0**31).ceil() for share in (amount, amount * salt))
            top = 2**31 - 1
            replaced = number < changed.clamp_max(top).to(torch.int32)
            white = (number < salted.clamp_max(top).to(torch.int32)).to(x.dtype)
        noisy = torch.where(replaced, white, x)
        if not wants_gradient(amount, salt):
            return noisy
        return straight_through(noisy.detach(), noisy + amount * (salt - x.detach()))


@dataclass(frozen=True)
class SpeckleNoise(PixelTransform):
    """Multiply every value by 1 plus normal noise.

    :param std: the noise's standard deviation, >= 0, as a share of the value.
    :raises ValueError: for a negative ``std``.
    """

    std: Range = Uniform(0.0, 0.2)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"std": "share"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("std", self.std, low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        field = normal_field(values["seed"], x[0].numel(), x.dtype).view(x.shape)
        std: Tensor = values["std"].view(-1, 1, 1, 1)
        gain = field * std + 1 if std.requires_grad else field.mul_(std).add_(1)
        return x * gain


@dataclass(frozen=True)
class ISONoise(PixelTransform):
    """The noise of a sensor at high amplification: grain that grows with the light, and colour noise.

    All channels share normal grain of variance read^2 + shot^2 m, with m the mean of the channels. (Foi et al.,
    "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008, equation 3.)

    :param shot: the standard deviation that photons add at white, >= 0, in units of [0, 1].
    :param read: the standard deviation of the grain in black, >= 0, in units of [0, 1].
    :param color: the standard deviation of noise added to each channel on its own, less its mean over the channels, so
        that it changes no brightness; >= 0, in units of [0, 1].
    :raises ValueError: for a negative standard deviation.
    """

    shot: Range = Uniform(0.0, 0.06)
    read: Range = Uniform(0.0, 0.02)
    color: Range = Uniform(0.0, 0.04)
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {"shot": "intensity", "read": "intensity", "color": "intensity"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("shot", "read", "color"):
            require_support(name, getattr(self, name), low=0)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        channels, pixels = x.shape[1], x[0, 0].numel()
        shot, read, color = (values[name].view(-1, 1, 1, 1) for name in ("shot", "read", "color"))
        # One channel has no colour.
        fields = normal_field(values["seed"], (channels + 1 if channels > 1 else 1) * pixels, x.dtype)
        fields = fields.view(len(x), -1, *x.shape[2:])
        # A tenth of a level is added in quadrature: at zero the square root would have an infinite slope.
        variance = read.square() + shot.square() * mean_channel(x).clamp_min(0)
        grain = fields[:, :1] * torch.sqrt(variance + (0.1 / 255) ** 2)
        if channels == 1:
            return x + grain
        tinted = fields[:, 1:]
        grain = grain - color * mean_channel(tinted)
        changed: Tensor = x + color * tinted + grain
        return changed


def mean_channel(x: Tensor) -> Tensor:
    """The mean over the channels of ``x`` (B, C, H, W), (B, 1, H, W), added up in their order."""
    total = x[:, :1]
    for channel in range(1, x.shape[1]):
        total = total + x[:, channel : channel + 1]
    return total / x.shape[1]


@dataclass(frozen=True)
class Quantization(PixelTransform):
    """Round to evenly spaced levels from 0 to 1.

    The gradients are straight-through: the identity for the image, and for the bits that of the width of a step, each
    value keeping its rounding error counted in steps.

    :param bits: the logarithm to base 2 of the number of levels, from 1 to 16; it may be fractional, levels are whole.
    :raises ValueError: for bits outside these bounds.
    """

    bits: Range = Uniform(2.0, 8.0)
    differentiable: ClassVar[bool] = False
    units: ClassVar[Mapping[str, str]] = {"bits": "bits"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("bits", self.bits, low=1, high=16)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        bits = values["bits"].view(-1, 1, 1, 1)
        with torch.no_grad():
            top = two_to_the(bits).round_().sub_(1)
            level = (x * top).round_().div_(top)
        return snapped(level, x, 1 / (two_to_the(bits) - 1))

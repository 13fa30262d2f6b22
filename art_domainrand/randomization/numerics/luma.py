"""Grey values of images, and colours for images that may have none."""

from __future__ import annotations

from kornia.color import rgb_to_grayscale
from kornia.enhance import invert
from torch import Tensor

from art_domainrand.randomization.numerics.matrices import constant

LUMA = (0.299, 0.587, 0.114)
"""The grey value of an RGB pixel (ITU-R BT.601, as in Kornia and PIL)."""


def grey(x: Tensor) -> Tensor:
    """The grey value (B, 1, H, W) of ``x`` (B, C, H, W): luma of three channels (ITU-R BT.601), else the mean."""
    if x.shape[1] == 3:
        luma: Tensor = rgb_to_grayscale(x)
        return luma
    if x.shape[1] == 1:
        return x
    total = x[:, :1] * (1 / x.shape[1])
    for channel in range(1, x.shape[1]):
        total = total + x[:, channel : channel + 1] * (1 / x.shape[1])
    return total


def snow_light(x: Tensor) -> Tensor:
    """``x`` (B, C, H, W) as a bright overcast sky shows it: 1.5 luma + 0.5 where that is brighter."""
    return (grey(x) * 1.5 + 0.5).maximum(x)


def negative(x: Tensor) -> Tensor:
    """The photographic negative, 1 - x."""
    inverted: Tensor = invert(x, constant(((1.0,),), x.dtype, x.device))
    return inverted


def muted(random: Tensor, dim: int) -> Tensor:
    """Colours as surfaces have them, any lightness and little saturation, from uniform numbers in [0, 1].

    Along ``dim`` the first number is the lightness and the others, which are left, the channels; all in [0, 1].
    """
    light, channels = random.narrow(dim, 0, 1), random.narrow(dim, 1, random.shape[dim] - 1)
    return 0.2 + 0.6 * light + 0.3 * (channels - channels.mean(dim, keepdim=True))


def tint(rgb: tuple[float, float, float], x: Tensor) -> Tensor:
    """A colour that broadcasts against ``x``, (1, 3, 1, 1); its luma, (1, 1, 1, 1), unless ``x`` has three channels."""
    luma = sum(weight * value for weight, value in zip(LUMA, rgb, strict=True))
    return constant((rgb if x.shape[1] == 3 else (luma,),), x.dtype, x.device).view(1, -1, 1, 1)

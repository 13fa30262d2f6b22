"""Where the object is, and what a surface looks like: what background and texture randomization share."""

from __future__ import annotations

import torch
from torch import Tensor

from art_domainrand.core.hashing import member_seeds, uniform_field
from art_domainrand.randomization.numerics.clouds import value_noise
from art_domainrand.randomization.numerics.color_maps import apply_color
from art_domainrand.randomization.numerics.elementary import logistic
from art_domainrand.randomization.numerics.luma import muted
from art_domainrand.randomization.numerics.matrices import multiply, pixel_sum

BAND = 0.1
"""How wide a strip along each border is taken for ground, as a share of the image's side."""

NOISE = 0.02
"""Colours that differ by this much are alike, however even the ground; in units of [0, 1]."""

SHARPNESS = 8.0
"""How fast a saliency mask rises: from 0.12 to 0.88 over half of the mean saliency."""


def saliency(x: Tensor) -> Tensor:
    """How foreign each pixel's colour is to the image's borders, over the mean of that: (B, 1, H, W).

    The boundary contrast of Zhang et al. ("Minimum barrier salient object detection at 80 FPS", ICCV 2015, equations 7
    and 8), in the image's own channels: the squared Mahalanobis distance from the colours along each of the four
    borders, so that a textured ground is near itself; each over its mean; and of the four the sum without the largest,
    as the object may touch one border. A flat image has none.
    """
    height, width = max(1, round(BAND * x.shape[2])), max(1, round(BAND * x.shape[3]))
    borders = (x[:, :, :height], x[:, :, -height:], x[:, :, :, :width], x[:, :, :, -width:])
    total = largest = _over_its_mean(_distance(x, borders[0].contiguous()))
    for border in borders[1:]:
        distance = _over_its_mean(_distance(x, border.contiguous()))
        total, largest = total + distance, torch.maximum(largest, distance)
    return _over_its_mean(total - largest)


def _over_its_mean(x: Tensor) -> Tensor:
    mean = (pixel_sum(x) / (x.shape[2] * x.shape[3]))[..., None]
    return x / (mean + 1e-6)


def _distance(x: Tensor, ground: Tensor) -> Tensor:
    """The squared Mahalanobis distance (B, 1, H, W) of the colours of ``x`` from those of ``ground`` (B, C, h, w)."""
    pixels = ground.shape[2] * ground.shape[3]
    mean = pixel_sum(ground) / pixels
    centred = ground - mean[..., None]
    rows = [pixel_sum(centred * centred[:, k : k + 1]) for k in range(x.shape[1])]
    spread = torch.cat(rows, dim=2) / pixels
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    white = whitening(spread + NOISE**2 * eye)
    away = apply_color(x, torch.cat((white, -multiply(white, mean)), dim=2))
    total = away[:, :1].square()
    for channel in range(1, x.shape[1]):
        total = total + away[:, channel : channel + 1].square()
    return total


def whitening(covariance: Tensor) -> Tensor:
    """Matrices W (B, C, C) with W^T W the inverse of positive definite ones, by elimination, elementwise."""
    size = covariance.shape[1]
    eye = torch.eye(size, dtype=covariance.dtype, device=covariance.device)
    left, right = covariance, eye.expand_as(covariance)
    rows = []
    for _ in range(size):  # the first row is done, and taken out of those below
        pivot, share = left[:, :1, :1], left[:, 1:, :1] / left[:, :1, :1]
        rows.append(right[:, :1] / pivot.sqrt())
        left, right = left[:, 1:, 1:] - share * left[:, :1, 1:], right[:, 1:] - share * right[:, :1]
    return torch.cat(rows, dim=1)


def foreground(x: Tensor, threshold: Tensor) -> Tensor:
    """A soft mask (B, 1, H, W): 1 where the saliency is well above ``threshold`` (B,) times its mean."""
    return logistic((saliency(x) - threshold.view(-1, 1, 1, 1)) * SHARPNESS)


def split_mask(x: Tensor, mask_channel: int | None) -> tuple[Tensor, Tensor | None]:
    """Take the given mask out of images.

    :param x: images (B, C, H, W), the mask among their channels.
    :param mask_channel: the index of the mask; None if there is none.
    :return: the other channels, and the mask (B, 1, H, W) or None.
    :raises ValueError: if there is no such channel or no other.
    """
    if mask_channel is None:
        return x, None
    require_mask_channel(mask_channel, x.shape[1])
    return (
        torch.cat((x[:, :mask_channel], x[:, mask_channel + 1 :]), dim=1),
        x[:, mask_channel : mask_channel + 1],
    )


def join_mask(x: Tensor, mask: Tensor | None, mask_channel: int | None) -> Tensor:
    """Put the mask back where :func:`split_mask` took it from."""
    if mask is None or mask_channel is None:
        return x
    return torch.cat((x[:, :mask_channel], mask, x[:, mask_channel:]), dim=1)


def require_mask_channel(mask_channel: int | None, channels: int) -> None:
    """Raise ValueError unless images of so many ``channels`` have the mask that is named, and another one."""
    if mask_channel is not None and (mask_channel >= channels or channels < 2):
        raise ValueError(f"mask_channel must be below {channels}, with an image beside it, got {mask_channel}")


def check_mask_channel(mask_channel: int | None) -> None:
    """Raise ValueError unless ``mask_channel`` is None or an index."""
    if mask_channel is not None and (
        not isinstance(mask_channel, int) or isinstance(mask_channel, bool) or mask_channel < 0
    ):
        raise ValueError(f"mask_channel must be None or an int >= 0, got {mask_channel!r}")


def texture(x: Tensor, seeds: Tensor, cells: int, octaves: int = 3) -> Tensor:
    """A random surface in [0, 1] like ``x`` (B, C, H, W): a blotchy pattern between two random muted colours."""
    pattern = value_noise(x, [member_seeds(seeds, octave) for octave in range(octaves)], cells)
    random = uniform_field(member_seeds(seeds, octaves), 2 * (x.shape[1] + 1), x.dtype)
    colours = muted(random.view(len(x), 2, x.shape[1] + 1, 1, 1), dim=2)
    return colours[:, 0] + pattern * (colours[:, 1] - colours[:, 0])

"""The blurs of the common corruptions."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import hash_field, member_seeds, uniform_field
from art_domainrand.randomization.corruptions.separable import correlate, smooth


def gaussian_blur(x: Tensor, seeds: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of ``sigma`` pixels."""
    return smooth(x, sigma)


def defocus_blur(x: Tensor, seeds: Tensor, radius: float, softness: float) -> Tensor:
    """Average over a disk of ``radius`` pixels whose edge a Gaussian of ``softness`` pixels has softened."""
    return correlate(x, disk_kernel(radius, softness, x.dtype, x.device), "reflect")


@lru_cache(maxsize=64)
def disk_kernel(radius: float, softness: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The kernel (1, 1, K, K) of :func:`defocus_blur`: at least 17 pixels wide, the softening kernel 3 or 5."""
    half, reach = (8, 1) if radius <= 8 else (math.ceil(radius), 2)
    distance = np.arange(-half, half + 1)
    disk = (distance**2 + distance[:, None] ** 2 <= radius**2).astype(float)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / softness) ** 2)
    soft = np.zeros_like(disk)
    padded = np.pad(disk, reach, mode="reflect")
    size = len(disk)
    for row, down in enumerate(taps):
        for column, across in enumerate(taps):
            soft += down * across * padded[row : row + size, column : column + size]
    with torch.inference_mode(False):
        return torch.from_numpy(soft / (disk.sum() * taps.sum() ** 2)).to(device, dtype)[None, None]


def motion_blur(x: Tensor, seeds: Tensor, radius: float, sigma: float) -> Tensor:
    """Smear along a line at an angle drawn from -45 to 45 degrees, away from which the weight falls as a Gaussian.

    The reference's own kernel is ImageMagick's; this is the one of the package imagecorruptions, by whole pixels.
    """
    angle = uniform_field(member_seeds(seeds, 0), 1, x.dtype)[:, 0] * 90 - 45
    return smear(x, angle, round(radius), sigma)


def smear(x: Tensor, angle: Tensor, radius: int, sigma: float) -> Tensor:
    """Sum ``x`` (B, C, H, W) shifted by 0 .. 2 radius pixels towards ``angle`` (B,) degrees, with half a Gaussian.

    Every shift is rounded to whole pixels, y down; the border goes on for ever.
    """
    reach = 2 * radius
    steps = torch.arange(reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    radians = torch.deg2rad(angle)[:, None]
    across, down = (torch.ceil(steps * part - 0.5).long() + reach for part in (radians.cos(), radians.sin()))
    kernel = x.new_zeros(len(x), (2 * reach + 1) ** 2)
    kernel.scatter_add_(1, down * (2 * reach + 1) + across, (weights / weights.sum()).expand(len(x), -1))
    return correlate(x, kernel.view(len(x), 1, 2 * reach + 1, 2 * reach + 1), "replicate")


def zoom_blur(x: Tensor, seeds: Tensor, stop: float, step: float) -> Tensor:
    """Average the image and its enlargements by 1, 1 + step, ... below ``stop``, each about the centre.

    The number of enlargements is (stop - 1) / step rounded: the reference's ranges are read as they are meant, not as
    floating-point division of them would have it.
    """
    count = round((stop - 1) / step)
    height, width = x.shape[2:]
    total = x.clone()
    for index in range(count):
        total += enlarge(x, 1 + index * step)[:, :, :height, :width]
    return total.div_(count + 1)


def enlarge(x: Tensor, factor: float) -> Tensor:
    """The middle of ``x`` (B, C, H, W) enlarged by ``factor`` >= 1, linearly, to at least the size of ``x``.

    The ceil(size / factor) pixels in the middle are spread so that the outermost ones stay outermost.
    """
    if factor == 1:
        return x
    spans = [math.ceil(size / factor) for size in x.shape[2:]]
    top, left = ((size - span) // 2 for size, span in zip(x.shape[2:], spans, strict=True))
    middle = x[:, :, top : top + spans[0], left : left + spans[1]]
    size = [round(span * factor) for span in spans]
    return functional.interpolate(middle, size=size, mode="bilinear", align_corners=True)


def glass_blur(x: Tensor, seeds: Tensor, sigma: float, reach: float, rounds: float) -> Tensor:
    """Smooth, let every pixel change places with one at most ``reach`` pixels away, ``rounds`` times, smooth again."""
    order = shuffled_neighbours(seeds, x.shape[2], x.shape[3], round(reach), round(rounds))
    smoothed = smooth(x, sigma).flatten(2)
    shuffled = smoothed.gather(2, order[:, None].expand(-1, x.shape[1], -1))
    return smooth(shuffled.view(x.shape), sigma)


def shuffled_neighbours(seeds: Tensor, height: int, width: int, reach: int, rounds: int) -> Tensor:
    """A permutation of the pixels of each image by local swaps, (B, H W): where each pixel comes from.

    In every round each pixel not nearer than ``reach`` to the border swaps once with one chosen at -reach .. reach - 1
    in both directions, as in the reference. There they take turns from the last to the first; here those 2 reach apart,
    whose partners cannot meet, swap at the same time.
    """
    places = torch.arange(height * width, device=seeds.device).view(height, width)
    order = places.flatten().repeat(len(seeds), 1)
    stride = 2 * reach
    for turn in range(rounds):
        choice = hash_field(member_seeds(seeds, turn), height * width) & 0x7FFFFFFF
        offset = (choice % stride - reach) * width + (choice // stride) % stride - reach
        partner = places.flatten() + offset
        for row in range(stride - 1, -1, -1):
            for column in range(stride - 1, -1, -1):
                lines = slice(reach + 1 + row, max(height - reach + 1, 0), stride)
                here = places[lines, reach + 1 + column : max(width - reach + 1, 0) : stride].flatten()
                there = partner[:, here]
                mine = order[:, here]
                order[:, here] = order.gather(1, there)
                order.scatter_(1, there, mine)
    return order

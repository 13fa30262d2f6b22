"""The weather of the common corruptions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import member_seeds, normal_field, uniform_field
from art_domainrand.randomization.corruptions.blur import enlarge, smear
from art_domainrand.randomization.corruptions.separable import smooth
from art_domainrand.randomization.numerics.clouds import cloud
from art_domainrand.randomization.numerics.frost import box_blur, frosted_pane
from art_domainrand.randomization.numerics.luma import snow_light, tint

FARTHEST = 20
"""Beyond this many pixels from the rim of a drop the reference counts no further."""

WATER = (175 / 255, 238 / 255, 238 / 255)
MUD = (63 / 255, 42 / 255, 20 / 255)


def fog(x: Tensor, seeds: Tensor, amount: float, decay: float) -> Tensor:
    """Add ``amount`` times a cloud whose detail falls with ``decay``, and dim so that the brightest value stays."""
    haze = cloud(seeds, x.shape[2], x.shape[3], x.new_full((len(x),), decay))
    brightest = x.flatten(1).amax(1).view(-1, 1, 1, 1)
    return (x + amount * haze) * (brightest / (brightest + amount))


def frost(x: Tensor, seeds: Tensor, keep: float, strength: float) -> Tensor:
    """``keep`` times the image plus ``strength`` times a frosted pane.

    The reference lays crops of five photographs over the image; this one is a :func:`frosted_pane` in their colours.
    At 32 pixels the reference reduces the photographs to a fifth, which leaves little but grain.
    """
    roughness = x.new_full((len(x),), 0.3 if min(x.shape[2:]) >= 128 else 0.6)
    return keep * x + strength * frosted_pane(x, seeds, roughness)


def snow(
    x: Tensor,
    seeds: Tensor,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    keep: float,
) -> Tensor:
    """Whiten the image to the share 1 - ``keep`` and let flakes fall: enlarged noise above a threshold, smeared."""
    noise = normal_field(member_seeds(seeds, 0), x.shape[2] * x.shape[3], x.dtype).mul_(spread).add_(mean)
    flakes = enlarge(noise.view(len(x), 1, *x.shape[2:]), zoom)
    flakes = torch.where(flakes < threshold, 0, flakes).clamp(0, 1)
    angle = uniform_field(member_seeds(seeds, 1), 1, x.dtype)[:, 0] * 90 - 135
    flakes = smear(flakes, angle, round(radius), sigma)[:, :, : x.shape[2], : x.shape[3]]
    return x * keep + snow_light(x) * (1 - keep) + (flakes + flakes.flip(2, 3))


def spatter(
    x: Tensor,
    seeds: Tensor,
    mean: float,
    spread: float,
    sigma: float,
    threshold: float,
    strength: float,
    muddy: float,
) -> Tensor:
    """Splash drops of water (``muddy`` 0) or mud (1) where smoothed noise exceeds a threshold.

    The drops of water follow the reference step by step but for the outline, found there by Canny's detector, and the
    distance to it, Euclidean there and octagonal here.
    """
    noise = normal_field(seeds, x.shape[2] * x.shape[3], x.dtype).mul_(spread).add_(mean)
    liquid = smooth(noise.view(len(x), 1, *x.shape[2:]), sigma)
    liquid = torch.where(liquid < threshold, 0, liquid)
    if round(muddy):
        mask = smooth((liquid > threshold).to(x.dtype), strength)
        mask = torch.where(mask < 0.8, 0, mask)
        return x + (tint(MUD, x) - x) * mask
    mask = (liquid * 255).floor() * relief(liquid > 0, x.dtype)
    largest = mask.flatten(1).amax(1).clamp_min(1).view(-1, 1, 1, 1)
    return x + tint(WATER, x) * (mask / largest * strength)


def relief(drops: Tensor, dtype: torch.dtype) -> Tensor:
    """How the light falls on the ``drops``, a (B, 1, H, W) mask: 0 to 255, lit from the lower right.

    The distance from the nearest rim, equalized over the image, embossed and blurred.
    """
    inside = functional.pad(drops, (1,) * 4, value=True)
    rim = drops & ~(inside[:, :, 2:, 1:-1] & inside[:, :, :-2, 1:-1] & inside[..., 1:-1, 2:] & inside[..., 1:-1, :-2])
    distance = equalized(box_blur(distance_from(rim).to(dtype)).floor())
    emboss = distance.new_tensor(((-2.0, -1.0, 0.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 2.0)))
    lit = functional.conv2d(functional.pad(distance, (1,) * 4, mode="replicate"), emboss[None, None])
    return box_blur(lit.clamp(0, 255))


def distance_from(mask: Tensor) -> Tensor:
    """How many steps, at most 20, each pixel lies from the ones in ``mask`` (B, 1, H, W), bool; uint8.

    Steps are taken to four neighbours and to eight in turn: the distance is an octagon, within 9% of a circle.
    """
    near = mask.to(torch.uint8)
    steps = torch.full_like(near, FARTHEST)
    for step in range(FARTHEST):
        steps -= near
        grown = near.clone()
        grown[:, :, 1:] |= near[:, :, :-1]
        grown[:, :, :-1] |= near[:, :, 1:]
        across = grown.clone() if step % 2 else near
        grown[..., 1:] |= across[..., :-1]
        grown[..., :-1] |= across[..., 1:]
        near = grown
    return steps


def equalized(levels: Tensor) -> Tensor:
    """Histogram equalization to 0 .. 255 of whole numbers from 0 to 20, image by image, (B, 1, H, W)."""
    pixels = levels[0].numel()
    index = levels.flatten(1).long()
    # Whole numbers add up to the same in any order.
    found = torch.zeros(len(levels), FARTHEST + 1, dtype=torch.int64, device=levels.device)
    reached = found.scatter_add_(1, index, torch.ones_like(index)).cumsum(1)
    # The lowest level there is goes to 0.
    first = torch.where(reached > 0, reached, pixels).amin(1, keepdim=True)
    table = ((reached - first).clamp_min(0) * 255 / (pixels - first).clamp_min(1)).round().to(levels.dtype)
    return table.gather(1, index).view(levels.shape)

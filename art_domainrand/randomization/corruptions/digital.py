"""The digital corruptions: brightness, contrast, saturation, elastic change, pixels and JPEG."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import member_seeds, uniform_field
from art_domainrand.randomization.corruptions.separable import smooth
from art_domainrand.randomization.numerics import jpeg as codec
from art_domainrand.randomization.numerics.matrices import multiply, pixel_sum
from art_domainrand.randomization.numerics.positions import Sampling
from art_domainrand.randomization.numerics.warp import warp


def brightness(x: Tensor, seeds: Tensor, shift: float) -> Tensor:
    """Raise V of HSV by ``shift``, up to 1.

    With hue and saturation fixed a colour is proportional to V, so the image is scaled; black becomes grey. An image
    that is not RGB is shifted.
    """
    if x.shape[1] != 3:
        return x + shift
    value = x.amax(1, keepdim=True)
    black = value <= 0
    gain = (value + shift).clamp_(max=1).div_(torch.where(black, 1, value))
    return torch.addcmul(black * gain, x, gain)


def contrast(x: Tensor, seeds: Tensor, gain: float) -> Tensor:
    """Scale the distance from each channel's mean by ``gain``."""
    mean = (pixel_sum(x) / (x.shape[2] * x.shape[3])).unsqueeze(3)
    return torch.add(mean * (1 - gain), x, alpha=gain)


def saturate(x: Tensor, seeds: Tensor, gain: float, shift: float) -> Tensor:
    """Turn S of HSV to ``gain * S + shift``, within 0 and 1.

    With hue and value fixed, each channel's distance from V is proportional to S. A grey has the hue of red, as the
    convention goes, and becomes reddish if there is a ``shift``. An image that is not RGB stays.
    """
    if x.shape[1] != 3:
        return x
    value = x.amax(1, keepdim=True)
    depth = value - x.amin(1, keepdim=True)
    is_grey = depth <= 0
    saturation = depth / torch.where(value > 0, value, 1)
    target = (saturation * gain + shift).clamp_(0, 1)
    ratio = target / torch.where(is_grey, 1, saturation)
    changed = value + (x - value) * ratio
    reddish = is_grey * value * target
    changed[:, 1:] -= reddish
    return changed


def elastic_transform(x: Tensor, seeds: Tensor, strength: float, sigma: float, corner: float) -> Tensor:
    """Move three points of the image by up to ``corner`` pixels, then every pixel along a smooth random field.

    The field is ``strength`` times uniform noise on (-1, 1) smoothed by ``sigma`` pixels. Two resamplings, as in the
    reference (after P. Simard, D. Steinkraus and J. Platt, ICDAR 2003).
    """
    batch, _, height, width = x.shape
    offsets = uniform_field(member_seeds(seeds, 0), 6, x.dtype).mul_(2).sub_(1).view(batch, 2, 3) * corner
    x = warp(x, three_point_matrix(offsets, height, width), Sampling("bilinear", "reflection"), projective=False)
    if strength == 0:
        return x
    noise = uniform_field(member_seeds(seeds, 1), 2 * height * width, x.dtype).mul_(2).sub_(1)
    field = smooth(noise.view(batch, 2, height, width), sigma, truncate=3.0, border="reflect").mul_(strength)
    across, down = field.unbind(1)
    columns = torch.arange(width, dtype=x.dtype, device=x.device)
    rows = torch.arange(height, dtype=x.dtype, device=x.device)[:, None]
    grid = torch.stack(((across + columns) * (2 / width), (down + rows) * (2 / height)), dim=3)
    grid += x.new_tensor((1 / width - 1, 1 / height - 1))
    return functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def three_point_matrix(offsets: Tensor, height: int, width: int) -> Tensor:
    """The affine matrices (B, 3, 3), in pixels from the centre, that move three points by ``offsets`` (B, 2, 3).

    The points are three corners of a square about the centre, a third of the shorter side to each side.
    """
    reach = max(min(height, width) // 3, 1)
    x, y = width // 2 - (width - 1) / 2, height // 2 - (height - 1) / 2
    points = np.array([[x + reach, x + reach, x - reach], [y + reach, y - reach, y - reach], [1.0, 1.0, 1.0]])
    inverse = offsets.new_tensor(np.linalg.inv(points))
    change = multiply(offsets, inverse.expand(len(offsets), 3, 3))
    return torch.eye(3, dtype=offsets.dtype, device=offsets.device) + functional.pad(change, (0, 0, 0, 1))


def pixelate(x: Tensor, seeds: Tensor, share: float) -> Tensor:
    """Reduce both sides to ``share`` of their length by averaging, and enlarge again by repeating pixels."""
    (rows, row), (columns, column) = (
        pixel_means(size, max(int(size * share), 1), x.dtype, x.device) for size in x.shape[2:]
    )
    return (rows @ x @ columns.T).index_select(3, column).index_select(2, row)


@lru_cache(maxsize=64)
def pixel_means(size: int, reduced: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The (reduced, size) matrix that reduces an axis, and which reduced pixel each of the ``size`` then shows.

    As in Pillow, a reduced pixel is the plain mean of those whose centres it covers, not weighted by area.
    """
    scale = size / reduced
    centres = np.arange(size) + 0.5
    middles = (np.arange(reduced)[:, None] + 0.5) * scale
    covers = np.abs(centres - middles) <= scale / 2
    # A centre on the line between two pixels counts for the left one.
    covers &= ~np.isclose(middles - centres, scale / 2)
    with torch.inference_mode(False):
        matrix = torch.from_numpy(covers / covers.sum(1, keepdims=True)).to(device, dtype)
        return matrix, torch.from_numpy(np.floor(centres / scale).astype(np.int64)).to(device)


def jpeg_compression(x: Tensor, seeds: Tensor, quality: float) -> Tensor:
    """Compress to JPEG of ``quality`` (rounded) with chroma subsampling, as Pillow does by default."""
    return codec.jpeg(x, x.new_full((len(x),), round(quality)))

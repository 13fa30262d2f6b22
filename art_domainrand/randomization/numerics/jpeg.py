"""JPEG in batches: colour conversion, 4:2:0 chroma, the block DCT and the standard quantization tables.

The arithmetic is that of libjpeg's defaults (ITU-T T.81 Annex A and K, JFIF 1.02): YCbCr, chroma averaged over 2x2
pixels, tables scaled by the quality, chroma interpolated linearly on the way back. Only the entropy coding, which
loses nothing, is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.clamp import straight_through_clamp
from art_domainrand.randomization.numerics.matrices import Rows, constant

SIDE = 8

# ITU-T T.81, tables K.1 and K.2: the step of each coefficient at quality 50, row by row.
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)

# JFIF 1.02: RGB to luma, blue and red difference, and back; the differences are kept centred on zero here.
TO_YCC: Rows = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
FROM_YCC: Rows = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def jpeg(x: Tensor, quality: Tensor, rounding: Callable[[Tensor], Tensor] = torch.round) -> Tensor:
    """Compress ``x`` (B, C, H, W), read as [0, 1], to JPEG of ``quality`` (B,) in [1, 100] and decompress it.

    Three channels are RGB with subsampled chroma; any other number are so many grey images. ``rounding`` is applied to
    the coefficients and to every value a file or a decoder holds as an integer: one with a gradient (straight-through)
    makes the whole differentiable. Values are saturated to 8 bits where a decoder does it.
    """
    levels = rounding(straight_through_clamp(x, 0.0, 1.0) * 255)
    if x.shape[1] != 3:
        decoded = _coded(levels - 128, LUMA_STEPS, quality, rounding)
        return _saturated(rounding(decoded) + 128) / 255
    ycc = rounding(mix_channels(levels, TO_YCC))
    luma = _saturated(rounding(_coded(ycc[:, :1] - 128, LUMA_STEPS, quality, rounding)) + 128)
    chroma = _coded(_halved(ycc[:, 1:], rounding), CHROMA_STEPS, quality, rounding)[:, :, :, : -(-x.shape[3] // 2)]
    chroma = _doubled(straight_through_clamp(rounding(chroma), -128.0, 127.0), rounding)
    decoded = mix_channels(torch.cat((luma, chroma[:, :, : x.shape[2], : x.shape[3]]), dim=1), FROM_YCC)
    return _saturated(rounding(decoded)) / 255


def _halved(planes: Tensor, rounding: Callable[[Tensor], Tensor]) -> Tensor:
    """The means of 2x2 pixels of ``planes`` of whole numbers, an odd last row taken twice, in whole blocks of columns.

    libjpeg repeats the last column before it takes the means, and the last row after; it rounds a half down in the
    first column, up in the second, and so on.
    """
    means = functional.avg_pool2d(_extended(planes, 2, 2 * SIDE), 2)
    return rounding(means + _alternating(-1 / 8, means))


def _doubled(planes: Tensor, rounding: Callable[[Tensor], Tensor]) -> Tensor:
    """``planes`` of whole numbers at twice the size, as libjpeg does it: linearly, but repeated where at most 2 wide.

    It rounds a half up in the first column, down in the second, and so on.
    """
    if planes.shape[3] <= 2:
        return functional.interpolate(planes, scale_factor=2.0, mode="nearest")
    larger = functional.interpolate(planes, scale_factor=2.0, mode="bilinear", align_corners=False)
    return rounding(larger + _alternating(1 / 64, larger))


def _alternating(first: float, like: Tensor) -> Tensor:
    """``first`` and its negative in turns, one for each column of ``like``: less than what its values differ by."""
    pairs = -(-like.shape[3] // 2)
    return constant((((first, -first) * pairs)[: like.shape[3]],), like.dtype, like.device)


def _extended(planes: Tensor, height: int, width: int) -> Tensor:
    """``planes`` with the last row and column repeated until the sides are multiples of ``height`` and ``width``."""
    padding = (0, -planes.shape[3] % width, 0, -planes.shape[2] % height)
    return functional.pad(planes, padding, mode="replicate") if any(padding) else planes


def _coded(
    planes: Tensor, steps: tuple[tuple[int, ...], ...], quality: Tensor, rounding: Callable[[Tensor], Tensor]
) -> Tensor:
    """:func:`code_planes` for any size: extended to whole blocks, and cut again."""
    height, width = planes.shape[2:]
    return code_planes(_extended(planes, SIDE, SIDE), steps, quality, rounding)[:, :, :height, :width]


def code_planes(
    planes: Tensor, steps: tuple[tuple[int, ...], ...], quality: Tensor, rounding: Callable[[Tensor], Tensor]
) -> Tensor:
    """Quantize the block DCT of ``planes`` (B, C, H, W), sides multiples of 8, with ``steps`` scaled to ``quality``."""
    batch, channels, height, width = planes.shape
    rows, columns = height // SIDE, width // SIDE
    blocks = planes.view(batch, channels, rows, SIDE, columns, SIDE).transpose(3, 4).reshape(batch, -1, SIDE**2)
    basis = dct_basis(planes.dtype, planes.device)
    table = scaled_steps(steps, quality.to(planes.dtype))[:, None, :]
    blocks = (rounding((blocks @ basis.T) / table) * table) @ basis
    return blocks.view(batch, channels, rows, columns, SIDE, SIDE).transpose(3, 4).reshape(planes.shape)


def scaled_steps(steps: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """The quantization steps (B, 64) at ``quality`` (B,): the scaling of the Independent JPEG Group's library.

    Steps are whole numbers from 1 to 255; the rounding passes gradients to the quality straight through.
    """
    base = constant((sum(steps, ()),), quality.dtype, quality.device)
    percent = torch.where(quality < 50, 5000 / quality.clamp_min(1), 200 - 2 * quality)[:, None]
    exact = (base * percent + 50) / 100
    return (exact + (exact.detach().floor() - exact.detach())).clamp(1, 255)


def mix_channels(x: Tensor, rows: Rows) -> Tensor:
    """Multiply the three channels of ``x`` (B, 3, H, W) by a constant 3x3 matrix, in the order of its columns."""
    red, green, blue = x.unbind(1)
    return torch.stack([red * row[0] + green * row[1] + blue * row[2] for row in rows], dim=1)


@lru_cache(maxsize=16)
def dct_basis(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The orthonormal two-dimensional DCT-II of an 8x8 block laid flat, as a (64, 64) matrix (T.81, A.3.3)."""
    frequency, position = np.arange(SIDE)[:, None], np.arange(SIDE)
    one_axis = np.cos((2 * position + 1) * frequency * np.pi / (2 * SIDE)) / 2
    one_axis[0] /= np.sqrt(2)
    with torch.inference_mode(False):
        return torch.from_numpy(np.kron(one_axis, one_axis)).to(device, dtype)


def _saturated(levels: Tensor) -> Tensor:
    return straight_through_clamp(levels, 0.0, 255.0)

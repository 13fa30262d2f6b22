"""Linear maps that act on rows and columns alike: smoothing as two small matrix products, and convolution by FFT."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def smooth(x: Tensor, sigma: float, *, truncate: float = 4.0, border: str = "nearest") -> Tensor:
    """Convolve ``x`` (B, C, H, W) with a Gaussian of ``sigma`` pixels, cut off at ``truncate`` standard deviations.

    ``border`` is SciPy's "nearest" (the outermost pixel goes on) or "reflect" (mirrored, that pixel twice).
    """
    rows, columns = (
        smoothing_matrix(size, sigma, truncate, border, x.dtype, x.device) for size in (x.shape[2], x.shape[3])
    )
    return rows @ x @ columns.T


@lru_cache(maxsize=64)
def smoothing_matrix(
    size: int, sigma: float, truncate: float, border: str, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The (size, size) matrix of a truncated Gaussian filter along an axis of ``size`` pixels, border included.

    However long the kernel, an axis of some hundred pixels is filtered by one product of matrices.
    """
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-6)) ** 2)
    source = np.arange(size)[:, None] + np.arange(-radius, radius + 1)
    if border == "nearest":
        source = source.clip(0, size - 1)
    else:
        source = source % (2 * size)
        source = np.where(source < size, source, 2 * size - 1 - source)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], source), weights / weights.sum())
    with torch.inference_mode(False):
        return torch.from_numpy(matrix).to(device, dtype)


def correlate(x: Tensor, kernel: Tensor, mode: str) -> Tensor:
    """Correlate ``x`` (B, C, H, W) with an odd square ``kernel`` (B or 1, 1, K, K), by FFT.

    ``mode`` is how :func:`torch.nn.functional.pad` continues the image; what is too small to mirror is repeated.
    """
    reach = kernel.shape[-1] // 2
    height, width = x.shape[2:]
    if mode == "reflect" and reach >= min(height, width):
        mode = "replicate"
    padded = functional.pad(x, (reach,) * 4, mode=mode)
    if len(x) * x.shape[1] == 1:  # a single plane takes another algorithm, with other roundings: it goes in twice
        padded = padded.repeat(2, 1, 1, 1)
    size = [fft_length(length) for length in padded.shape[2:]]
    # Complex products are rounded differently at the end of a vector register than inside; real ones are not.
    real, imaginary = torch.view_as_real(torch.fft.rfft2(padded, s=size)).unbind(-1)
    kernel_real, kernel_imaginary = torch.view_as_real(torch.fft.rfft2(kernel, s=size)).unbind(-1)
    product = torch.complex(
        real * kernel_real + imaginary * kernel_imaginary, imaginary * kernel_real - real * kernel_imaginary
    )
    correlated: Tensor = torch.fft.irfft2(product, s=size)
    return correlated[: len(x), :, :height, :width]


def fft_length(length: int) -> int:
    """The next even number from ``length`` on whose prime factors are 2, 3, 5 and 7: a fast transform."""
    length += length % 2
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2

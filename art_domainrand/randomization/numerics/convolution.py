"""Convolutions with kernels of each image's own, the image mirrored at its border."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.straight_through import wants_gradient

SMALLEST_SIGMA = 1e-3
"""Below this a kernel is a single pixel in every floating dtype; smaller ones are read as this."""

SMALLEST_WEIGHT = 1e-20
"""Weights below this share of the largest are zero: no sum in floating point shows them, but where their products with
pixels leave the normal numbers, a processor takes many times longer."""


def gaussian_kernel(sigma: Tensor, radius: int) -> Tensor:
    """Gaussian weights at -radius .. radius that sum to one, (B, 2 radius + 1), for ``sigma`` (B,) in pixels."""
    distance = torch.arange(-radius, radius + 1, dtype=sigma.dtype, device=sigma.device)
    weights = torch.exp(-0.5 * (distance / sigma.clamp_min(SMALLEST_SIGMA)[:, None]) ** 2)
    weights = functional.threshold(weights, SMALLEST_WEIGHT, 0.0)
    total = weights[:, 0]
    for column in weights.unbind(1)[1:]:
        total = total + column
    return weights / total[:, None]


def convolve(x: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Convolve ``x`` (B, C, H, W) with each image's own odd kernels ``across`` and ``down``, (B, K); mirrored border.

    Images and channels become the groups of two depthwise convolutions.
    """
    batch, channels, height, width = x.shape
    reach_x, reach_y = across.shape[1] // 2, down.shape[1] // 2
    planes = functional.pad(x, (reach_x, reach_x, reach_y, reach_y), mode="reflect").flatten(0, 1)[None]
    rows, columns = (
        kernel[:, None].expand(-1, channels, -1).reshape(batch * channels, 1, 1, -1) for kernel in (across, down)
    )
    if batch * channels == 1:  # a single group takes another algorithm, with other roundings: it goes in twice
        planes, rows, columns = planes.expand(-1, 2, -1, -1), rows.expand(2, 1, 1, -1), columns.expand(2, 1, 1, -1)
    planes = depthwise(planes, rows)  # one name: large buffers are free for reuse early
    planes = depthwise(planes, columns.transpose(2, 3))
    # Not by an index, whose gradient would fill a buffer with zeros first.
    return (planes[:, :1] if batch * channels == 1 else planes).view(batch, channels, height, width)


def depthwise(planes: Tensor, weights: Tensor) -> Tensor:
    """Correlate each of ``planes`` (1, G, H, W) with its own ``weights`` (G, 1, K, L) where these lie inside."""
    if weights.requires_grad or planes.device.type != "cpu" or not wants_gradient(planes):
        return functional.conv2d(planes, weights, groups=len(weights))
    blurred: Tensor = _Depthwise.apply(planes, weights)  # type: ignore[no-untyped-call]
    return blurred


class _Depthwise(torch.autograd.Function):
    """The gradient of the planes as a forward transposed convolution: up to 4 times as fast as the built-in one."""

    @staticmethod
    def forward(ctx: Any, planes: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return functional.conv2d(planes, weights, groups=len(weights))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        return functional.conv_transpose2d(gradient, weights, groups=len(weights)), None

"""Linear maps of the channels: one pass over the image, and one over the gradient."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.straight_through import wants_gradient
from art_domainrand.randomization.numerics.matrices import (
    constant,
    is_channels_last,
    multiply,
    pixel_sum,
    sum_of_outer_products,
)

LARGE = 1 << 15
"""From so many values in an image on, passes over memory cost more than calls; so few of them lie in the cache."""

FEW = 4
"""With at most so many channels the library that multiplies on the CPU gives an image the same bits in any batch."""


def compose_color(outer: Tensor, inner: Tensor) -> Tensor:
    """The colour matrix that applies ``inner`` first and ``outer`` second.

    Both are (B, C, C + 1), [A | b], or (B, C, 2 C + 1), [A | b | K], with the gains of the image's channel means m. As
    x' = A x + b + K m has the means m' = (A + K) m + b, the two after one another are the product
    [A' | b' | K'] [[A, b, K], [0, 1, 0], [0, b, A + K]].
    """
    channels = inner.shape[1]
    outer_width, width = outer.shape[2], max(outer.shape[2], inner.shape[2])
    if inner.shape[2] < width:
        inner = functional.pad(inner, (0, channels))
    one = tuple(float(column == channels) for column in range(width))
    factors = [inner, constant((one,), inner.dtype, inner.device).expand(len(inner), 1, width)]
    if outer_width > channels + 1:
        gains, offset, of_means = split_color(inner)
        factors.append(torch.cat((torch.zeros_like(gains), offset, gains + of_means), dim=2))
    return multiply(outer, torch.cat(factors, dim=1))


def split_color(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gains (B, C, C), the offset (B, C, 1) and the gains of the means, (B, C, C) or (B, C, 0)."""
    channels = matrix.shape[1]
    return matrix[:, :, :channels], matrix[:, :, channels : channels + 1], matrix[:, :, channels + 1 :]


def apply_color(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a colour ``matrix``, see :func:`compose_color`, to ``x`` (B, C, H, W) in one pass."""
    mixed: Tensor = _ColorMap.apply(x, matrix)  # type: ignore[no-untyped-call]
    return mixed


def scale_channels(x: Tensor, gains: Tensor, offset: Tensor) -> Tensor:
    """Compute gains x + offset for ``x`` (B, C, H, W); ``gains`` and ``offset`` are (B, C), or (B, 1) for all channels.

    This is :func:`apply_color` with diagonal gains, without the matrix.
    """
    channels = x.shape[1]
    if is_channels_last(x) and max(gains.shape[1], offset.shape[1]) > 1:
        # Innermost are the channels, and over so short an axis a matrix product is faster than elementwise products.
        parts = (gains.expand(-1, channels).diag_embed(), offset[:, :, None].expand(-1, channels, -1))
        return apply_color(x, torch.cat(parts, dim=2))
    if channels * x.shape[2] * x.shape[3] < LARGE:
        return (x * gains[:, :, None, None]).add_(offset[:, :, None, None])
    if not wants_gradient(x, gains, offset):
        return _scale(x, gains, offset)
    scaled: Tensor = _ChannelScale.apply(x, gains, offset)  # type: ignore[no-untyped-call]
    return scaled


def scale_about_sums(x: Tensor, gains: Tensor, weights: Tensor) -> Tensor:
    """Compute gains x + sum(weights x) for contiguous ``x`` (B, C, H, W); ``gains`` (B, 1) and ``weights`` (B, C).

    The sum goes over all pixels of all channels of an image.
    """
    if not wants_gradient(x, gains, weights):
        return _scale(x, gains, multiply(weights[:, None], pixel_sum(x))[:, 0])
    scaled: Tensor = _ScaleAboutSums.apply(x, gains, weights)  # type: ignore[no-untyped-call]
    return scaled


class _ChannelScale(torch.autograd.Function):
    """Gains times x plus offset; its gradient, gains times g, is one pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gains: Tensor, offset: Tensor) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, gains)
        ctx.offsets = offset.shape[1]
        return _scale(x, gains, offset)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, gains = ctx.saved_tensors
        of_x = of_gains = of_offset = None
        if ctx.needs_input_grad[0]:
            of_x = gradient * gains[:, :, None, None]
        if ctx.needs_input_grad[1]:
            of_gains = _per_channel(gradient * x, gains.shape[1])
        if ctx.needs_input_grad[2]:
            of_offset = _per_channel(gradient, ctx.offsets)
        return of_x, of_gains, of_offset


class _ScaleAboutSums(torch.autograd.Function):
    """Gains times x plus one number for an image; its gradient, gains times g plus weights sum(g), is one pass too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gains: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(x if any(ctx.needs_input_grad[1:]) else None, gains, weights)
        return _scale(x, gains, multiply(weights[:, None], pixel_sum(x))[:, 0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, gains, weights = ctx.saved_tensors
        of_x = of_gains = of_weights = None
        total = _per_channel(gradient, 1)
        if ctx.needs_input_grad[0]:
            of_x = _scale(gradient, gains, weights * total)
        if ctx.needs_input_grad[1]:
            of_gains = _per_channel(gradient * x, 1)
        if ctx.needs_input_grad[2]:
            of_weights = total * pixel_sum(x)[:, :, 0]
        return of_x, of_gains, of_weights


def _scale(x: Tensor, gains: Tensor, offset: Tensor) -> Tensor:
    if x.device.type != "cpu":
        return torch.addcmul(offset[:, :, None, None], x, gains[:, :, None, None])
    if wants_gradient(x, gains, offset) or not x.is_contiguous():  # a gradient of the gradient needs the formula
        return (x * gains[:, :, None, None]).add_(offset[:, :, None, None])
    # Batch normalization with the running mean 0 and variance 1 is one pass where a product and a sum are two.
    columns = max(gains.shape[1], offset.shape[1])
    zeros, ones = _rest(len(x) * columns, x.dtype)
    gain, shift = (
        (part if part.shape[1] == columns else part.expand(-1, columns)).reshape(-1) for part in (gains, offset)
    )
    planes = x.view(1, len(zeros), -1)
    return torch.native_batch_norm(planes, gain, shift, zeros, ones, False, 0.0, 0.0)[0].view_as(x)


def _per_channel(x: Tensor, columns: int) -> Tensor:
    """The sum over the pixels of each channel, (B, C), or over all, (B, 1), as ``columns`` says."""
    total = pixel_sum(x)[:, :, 0]
    return total if columns > 1 or x.shape[1] == 1 else total.sum(dim=1, keepdim=True)


@lru_cache(maxsize=64)
def _rest(count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The mean and the variance that normalization leaves alone."""
    with torch.inference_mode(False):
        return torch.zeros(count, dtype=dtype), torch.ones(count, dtype=dtype)


class _ColorMap(torch.autograd.Function):
    """A x + b + K mean(x); its gradient A^T g + K^T sum(g) / pixels is one pass of the same kind."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor) -> Tensor:
        ctx.pixels = x.shape[2] * x.shape[3]
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, matrix)
        gains, offset, of_means = split_color(matrix)
        if of_means.shape[2]:
            offset = offset + multiply(of_means, pixel_sum(x) / ctx.pixels)
        return _mix(x, gains, offset)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, matrix = ctx.saved_tensors
        gains, offset, of_means = split_color(matrix)
        of_x = of_matrix = None
        total = shift = torch.zeros_like(offset)
        if of_means.shape[2] or ctx.needs_input_grad[1]:
            total = pixel_sum(gradient)
        if of_means.shape[2]:
            shift = multiply(of_means.transpose(1, 2), total) / ctx.pixels
        if ctx.needs_input_grad[0]:
            of_x = _mix(gradient, gains.transpose(1, 2), shift)
        if ctx.needs_input_grad[1]:
            parts = [torch.bmm(gradient.flatten(2), x.flatten(2).transpose(1, 2)), total]
            if of_means.shape[2]:
                parts.append(multiply(total, pixel_sum(x).transpose(1, 2) / ctx.pixels))
            of_matrix = torch.cat(parts, dim=2)
        return of_x, of_matrix


def _mix(x: Tensor, gains: Tensor, offset: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    if channels > FEW or x.device.type != "cpu":
        mixed = offset[..., None] + sum_of_outer_products(gains, x.flatten(2)).view(x.shape)
        return mixed.contiguous(memory_format=torch.channels_last) if is_channels_last(x) else mixed
    if is_channels_last(x):  # a sum in another order would have other bits
        return _mix(x.contiguous(), gains, offset).contiguous(memory_format=torch.channels_last)
    return torch.baddbmm(offset, gains, x.flatten(2)).view(batch, channels, height, width)

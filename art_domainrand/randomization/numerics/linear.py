"""Small matrices, one per image, in arithmetic whose bits do not depend on the batch size.

Products of 3x3 and colour matrices are written out elementwise: a batched matrix product may take another kernel (or
TF32) at another batch size, and the solvers of ``torch.linalg`` wait for the device.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.straight_through import wants_gradient

Rows: TypeAlias = tuple[tuple[float, ...], ...]
"""A constant matrix, row by row."""

LARGE = 1 << 15
"""From so many values in an image on, passes over memory cost more than calls; so few of them lie in the cache."""

PLAIN_LOOP = 400
"""Below so many products ``bmm`` on the CPU is one plain loop."""

FEW = 4
"""With at most so many channels the library that multiplies on the CPU gives an image the same bits in any batch."""


def identity_like(matrix: Tensor) -> Tensor:
    """The matrix that changes nothing: I for geometry, [I | 0] for colour."""
    return torch.eye(matrix.shape[1], matrix.shape[2], dtype=matrix.dtype, device=matrix.device)


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` for small matrices (B, n, k) and (B, k, m).

    On the CPU ``bmm`` runs one plain loop for the smallest. Larger products would go to a library whose bits depend on
    how many matrices there are and where in memory they begin, so there and on other devices k outer products are
    added up.
    """
    plain = left.device.type == "cpu" and left.shape[1] * left.shape[2] * right.shape[2] < PLAIN_LOOP
    return torch.bmm(left, right) if plain else sum_of_outer_products(left, right)


def sum_of_outer_products(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` for (B, n, k) and (B, k, m), elementwise and in the order of k."""
    total: Tensor = left[:, :, :1] * right[:, :1]
    for k in range(1, right.shape[1]):
        total = total + left[:, :, k : k + 1] * right[:, k : k + 1]
    return total


def combine(base: Rows, *parts: tuple[Tensor, Rows]) -> Tensor:
    """``base`` plus the sum of ``factor * pattern``: (B,) factors and constant patterns (n, m), to (B, n, m)."""
    factor = parts[0][0]
    total = constant(base, factor.dtype, factor.device)
    for factor, rows in parts:
        total = torch.addcmul(total, factor.view(-1, 1, 1), constant(rows, factor.dtype, factor.device))
    return total


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


def inverse3x3(matrix: Tensor) -> Tensor:
    """Invert (B, 3, 3) by the adjugate: a row of cofactors is the cross product of the other two rows."""
    cofactors = torch.linalg.cross(matrix.roll(-1, 1), matrix.roll(-2, 1), dim=2)
    terms = matrix[:, 0] * cofactors[:, 0]
    determinant = terms[:, 0] + terms[:, 1] + terms[:, 2]
    inverse: Tensor = cofactors.transpose(1, 2) / determinant[:, None, None]
    return inverse


def pixel_sum(x: Tensor) -> Tensor:
    """The sum over the pixels of ``x`` (B, C, H, W) as (B, C, 1), added up in an order that the image alone decides.

    Columns first, then the row of column sums: one reduction over both axes would be split differently for one image.
    On the CPU so short a row is summed by one plain loop; elsewhere it is folded in half again and again.
    """
    row = x.sum(dim=2)
    if x.device.type == "cpu":
        return row.sum(dim=2, keepdim=True)
    while row.shape[2] > 1:
        half, odd = divmod(row.shape[2], 2)
        folded = row[:, :, :half] + row[:, :, half : 2 * half]
        row = torch.cat((folded, row[:, :, -1:]), dim=2) if odd else folded
    return row


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


def is_channels_last(x: Tensor) -> bool:
    """Whether ``x`` (B, C, H, W) is stored with its channels innermost, and only so."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


@lru_cache(maxsize=256)
def constant(rows: Rows, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A small constant matrix on ``device``, copied there once."""
    with torch.inference_mode(False):
        return torch.tensor(rows, dtype=dtype, device=device)

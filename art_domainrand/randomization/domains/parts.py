"""What several domains are made of: smoothing, random fields, tone curves. Sizes follow the image's shorter side."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import member_seeds, mix64, normal_field, uniform_field
from art_domainrand.randomization.numerics.clouds import value_noise


def pixels(share: float, x: Tensor, least: int = 1) -> int:
    """A ``share`` of the shorter side of ``x`` (B, C, H, W) in whole pixels, at least ``least``."""
    return max(least, round(share * min(x.shape[2], x.shape[3])))


def box(x: Tensor, radius: int) -> Tensor:
    """The mean over (2 radius + 1)^2 pixels, fewer at the border."""
    total: Tensor = _BoxSum.apply(x, radius)  # type: ignore[no-untyped-call]
    return total * (_shares(x.shape[2], radius, x)[:, None] * _shares(x.shape[3], radius, x))


class _BoxSum(torch.autograd.Function):
    """The sum over a square about each pixel, zero beyond the border; it is its own transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, radius: int) -> Tensor:
        ctx.radius = radius
        return _window_sum(_window_sum(x, radius, 3), radius, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _BoxSum.apply(gradient, ctx.radius), None  # type: ignore[no-untyped-call]


def _window_sum(x: Tensor, radius: int, dim: int) -> Tensor:
    """Sum 2 radius + 1 neighbours along ``dim``: sums of 1, 2, 4 ... of them, put together as the binary digits say."""
    length, size = 2 * radius + 1, x.shape[dim]
    run = functional.pad(x, (radius, radius) if dim == 3 else (0, 0, radius, radius))
    total: Tensor | None = None
    start, reach = 0, 1
    while True:
        if length & reach:
            piece = run.narrow(dim, start, size)
            total = piece if total is None else total + piece
            start += reach
        if 2 * reach > length:
            assert total is not None
            return total
        kept = run.shape[dim] - reach
        run = run.narrow(dim, 0, kept) + run.narrow(dim, reach, kept)
        reach *= 2


@lru_cache(maxsize=256)
def _inverse_counts(size: int, radius: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        place = torch.arange(size, dtype=torch.float64)
        counts = place.clamp_max(radius) + place.flip(0).clamp_max(radius) + 1
        return (1 / counts).to(device, dtype)


def _shares(size: int, radius: int, like: Tensor) -> Tensor:
    """One over the number of neighbours within ``radius`` of each of ``size`` pixels, (size,)."""
    return _inverse_counts(size, radius, like.dtype, like.device)


def soften(x: Tensor, radius: int) -> Tensor:
    """Blur by two boxes in a row, a kernel that is nearly round; its standard deviation is about 0.8 ``radius``."""
    return x if radius == 0 else box(box(x, radius), radius)


def flatten(x: Tensor, radius: int, contrast: float) -> Tensor:
    """Smooth what varies by less than ``contrast`` and keep the edges.

    The guided filter with the image as its own guide (He, Sun and Tang, TPAMI 2013, equations 5, 6 and 8).
    """
    mean = box(x, radius)
    variance = box((x - mean).square(), radius)
    keep = variance / (variance + contrast**2)
    return box(keep, radius) * x + box(mean * (1 - keep), radius)


def lines(light: Tensor, radius: int) -> Tensor:
    """Whether all edges within ``radius`` run one way: 1 along a line, 0 among leaves; for ``light`` (B, 1, H, W).

    From the coherence, the share of the structure tensor that is anisotropic (Weickert, "Anisotropic diffusion in image
    processing", 1998), which is about 0.4 where edges run at random.
    """
    padded = functional.pad(light, (1, 1, 1, 1), mode="replicate")
    right = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    below = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    xx, yy, xy = (soften(product, radius) for product in (right * right, below * below, right * below))
    floor = 1e-5  # in an even area there are no edges to run any way, and there is nothing to divide by
    coherence = ((xx - yy).square() + 4 * xy.square() + floor**2).sqrt() / (xx + yy + floor)
    return 0.5 + 0.5 * torch.tanh(6 * (coherence - 0.5))


def deepen(x: Tensor, amount: float) -> Tensor:
    """A smooth tone curve through 0 and 1 that darkens what lies between: x (1 - amount + amount x)."""
    return x * (1 - amount + amount * x)


def glow(x: Tensor, radius: int) -> Tensor:
    """The light that bright parts of ``x`` shed around them."""
    return soften(x.clamp_min(0).square().square(), radius)


def grain(x: Tensor, seeds: Tensor) -> Tensor:
    """Standard normal noise of the shape of ``x``."""
    return normal_field(seeds, x[0].numel(), x.dtype).view(x.shape)


def branch(seeds: Tensor, index: int) -> Tensor:
    """Other seeds, mixed so that branches of branches never meet, as those of :func:`member_seeds` alone can."""
    return mix64(member_seeds(seeds, index))


def clouds(x: Tensor, seeds: Tensor, cells: int, octaves: int = 3) -> Tensor:
    """Smooth random values in [0, 1], (B, 1, H, W): value noise of ``cells`` lumps a side, doubled each octave."""
    return value_noise(x, [branch(seeds, octave) for octave in range(octaves)], cells)


def down(x: Tensor) -> Tensor:
    """Where a row lies, 0 at the top and 1 at the bottom: (1, 1, H, 1)."""
    return ramp(x.shape[2], x).view(1, 1, -1, 1)


def across(x: Tensor) -> Tensor:
    """Where a column lies, 0 at the left and 1 at the right: (1, 1, 1, W)."""
    return ramp(x.shape[3], x).view(1, 1, 1, -1)


def ramp(size: int, like: Tensor) -> Tensor:
    """``size`` pixel centres in (0, 1)."""
    return (torch.arange(size, dtype=like.dtype, device=like.device) + 0.5) / size


def leaning(seeds: Tensor, most: float, like: Tensor) -> Tensor:
    """How far things lean in their fall, (B,), up to ``most`` degrees either way."""
    return (2 * uniform_field(branch(seeds, 90), 1, like.dtype)[:, 0] - 1) * most

"""What Square attack tries next, given the best point so far: one window changed, in each norm its own way."""

from __future__ import annotations

import torch
from torch import Tensor

from art_domainrand.attacks.blackbox.windows import (
    Planes,
    two_mountains,
    window_pixels,
    window_place,
    window_size,
)
from art_domainrand.attacks.engine.quantize import to_levels
from art_domainrand.attacks.engine.steps import as_size
from art_domainrand.core.norms import Ball, lp_norm, per_sample, tensor_of
from art_domainrand.core.random import uniform

# The least side of a window in L2 and L1, where it holds a mountain and a valley.
LEAST_SIDE = 3
# Into how many tiles the first point of L2 and L1 divides the height.
TILES = 5
# A change this many times as long as the radius is cut where ball and box end: no pixel that is free gives any away.
BEYOND = 4.0


def signs(u: Tensor) -> Tensor:
    """-1 and 1 alike, by uniform numbers."""
    return torch.where(u < 0.5, -1.0, 1.0)


def stripes(ball: Ball, planes: Planes, keys: Tensor) -> Tensor:
    """The first point in L-inf: every column of every plane at one end of the ball."""
    channels, _, width = planes.size
    sign = signs(uniform(keys, (channels, 1, width))).expand(-1, *planes.size)
    return beyond(ball, ball.x, planes.images(sign))


def square_of_signs(ball: Ball, planes: Planes, best: Tensor, keys: Tensor, share: float) -> Tensor:
    """One square of every plane at one end of the ball (Andriushchenko et al. 2020, algorithm 2).

    A square that is so already is put at the other end, since a query that changes nothing is lost.
    """
    channels, height, width = planes.size
    size = window_size(share, height, width)
    u = uniform(keys, (2 + channels,))
    top, left = (start[:, None, None, None] for start in window_place(u[:, :2], size, (height, width)))
    rows = torch.arange(height, device=u.device)[:, None]
    columns = torch.arange(width, device=u.device)
    inside = (rows >= top) & (rows < top + size[0]) & (columns >= left) & (columns < left + size[1])
    sign = planes.images(signs(u[:, 2:, None, None]) * inside)
    idle = (ball.project(beyond(ball, best, sign)) == best).flatten(1).all(1)
    return beyond(ball, best, torch.where(per_sample(idle, sign), -sign, sign))


def beyond(ball: Ball, at: Tensor, sign: Tensor) -> Tensor:
    """Two radii from ``at`` along ``sign``: wherever in the ball that is, its end lies between."""
    return at + sign.to(at.dtype) * 2 * as_size(ball.eps, at)


def mountains(ball: Ball, planes: Planes, keys: Tensor) -> Tensor:
    """The first point in L2 and L1: tiles of a mountain and a valley each, of random sign."""
    channels, height, width = planes.size
    side = max(min(height, width) // TILES, 1)
    down, across = height // side, width // side
    u = uniform(keys, (channels + 1, down * across))
    lying, standing = (tile(side, ball, upright) for upright in (False, True))
    tiles = torch.where((u[:, :1, :, None, None] < 0.5), lying, standing) * signs(u[:, 1:, :, None, None])
    tiles = tiles.reshape(-1, channels, down, across, side, side).transpose(3, 4)
    tiled = tiles.reshape(-1, channels, down * side, across * side)
    above, before = (height - down * side) // 2, (width - across * side) // 2
    edges = (before, width - across * side - before, above, height - down * side - above)
    return ball.x + planes.images(torch.nn.functional.pad(tiled, edges))


def tile(side: int, ball: Ball, upright: bool) -> Tensor:
    """A mountain and a valley in a square, on the device and in the type of the images."""
    return two_mountains((side, side), ball.norm, upright=upright).to(ball.x)


def window_of_mountains(ball: Ball, planes: Planes, best: Tensor, keys: Tensor, share: float) -> Tensor:
    """One window is taken back, and what that frees goes to another (Andriushchenko et al. 2020, algorithm 3).

    There the change so far, at length one, and a mountain beside a valley are added up.
    """
    channels, height, width = planes.size
    size = window_size(share, height, width, LEAST_SIDE, odd=True)
    u = uniform(keys, (5 + channels,))
    here, there = (window_pixels(window_place(u[:, k : k + 2], size, (height, width)), size, width) for k in (0, 2))
    change = planes.of(best - ball.x).flatten(2)
    p, wide = ball.norm, (-1, channels, -1)
    here, there = here.unsqueeze(1).expand(wide), there.unsqueeze(1).expand(wide)
    both = torch.zeros_like(change, dtype=torch.bool).scatter(2, here, True).scatter(2, there, True)
    free = (tensor_of(ball.eps, best, best.dtype) ** p - lp_norm(best - ball.x, p) ** p).clamp_min(0)
    spent = (change * both).abs().pow(p).sum(2, keepdim=True)
    length = (free.reshape(-1, 1, 1) / channels + spent) ** (1 / p)
    lying, standing = (two_mountains(size, p, upright=upright).flatten().to(best) for upright in (False, True))
    new = torch.where(u[:, 4, None, None] < 0.5, lying, standing) * signs(u[:, 5:, None])
    new = at_length_one(new + at_length_one(change.gather(2, here), p), p) * length
    change = change.scatter(2, there, 0.0).scatter(2, here, new.to(change.dtype))
    return ball.x + planes.images(change.reshape(-1, *planes.size))


def at_length_one(x: Tensor, p: float) -> Tensor:
    """Every row of ``x`` (A, C, n) at length one; zero stays zero."""
    length = x.abs().pow(p).sum(2, keepdim=True) ** (1 / p)
    return x / torch.where(length > 0, length, torch.inf)


def nearest_allowed(ball: Ball, mask: Tensor | None, tried: Tensor, *, quantize: bool) -> Tensor:
    """The point of ball, box and mask next to what is to be tried; in L2 its change is first made as long as can be."""
    tried = tried if mask is None else torch.where(mask == 0, ball.x, tried)
    if ball.norm not in (1, torch.inf):
        change = tried - ball.x
        length = lp_norm(change, ball.norm)
        tried = ball.x + change / torch.where(length > 0, length, torch.inf) * BEYOND * as_size(ball.eps, change)
    found = ball.nearest(tried)
    return to_levels(found, ball) if quantize else found

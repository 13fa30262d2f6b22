"""Domains of drawing, rendering, printing and transmission."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.hashing import uniform_field
from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.domains.domain import Domain, faded
from art_domainrand.randomization.domains.parts import (
    across,
    box,
    branch,
    clouds,
    deepen,
    down,
    flatten,
    grain,
    lines,
    pixels,
    soften,
)
from art_domainrand.randomization.numerics.luma import grey, muted, tint


@dataclass(frozen=True)
class Sketch(Domain):
    """A pencil drawing: white paper, dark where a pixel is darker than its surroundings ("colour dodge").

    Lines are drawn at full strength; where edges run in all directions, as among leaves, they are faint strokes.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        light = 0.1 + grey(x).clamp_min(0)
        fine, broad = (light / soften(light, pixels(share, x)) for share in (0.006, 0.02))
        drawn = (1.04 * fine.clamp_max(1) * broad.clamp_max(1).square()).clamp_max(1)
        return (1 - (1 - drawn) * (0.2 + 0.8 * lines(light, pixels(0.015, x)))) * 0.98


@dataclass(frozen=True)
class Cartoon(Domain):
    """A drawn cartoon: flat, vivid areas in few shades, and black outlines along edges that are lines.

    :param severity: from 1 to 5, the full map.
    """

    levels: ClassVar[int] = 5

    def full(self, x: Tensor, values: Values) -> Tensor:
        area = x
        for _ in range(2):
            area = flatten(area, pixels(0.015, x), 0.1)
        light = grey(area)
        steps = 2 * math.pi * self.levels
        shades = light - torch.sin(steps * light) * (0.95 / steps)
        vivid = shades + 1.6 * (area - light)
        fine = grey(flatten(x, pixels(0.006, x), 0.03))
        # In a small image neighbouring pixels differ more; not everything there is an outline.
        step = 0.045 * max(1.0, math.sqrt(96 / min(x.shape[2:])))
        edge = fine - box(fine, pixels(0.01, x)) + step
        outline = 0.5 + 0.5 * torch.tanh(45 * edge)  # torch.sigmoid rounds the end of a row of memory differently
        return (0.08 + vivid) * (1 - lines(fine, pixels(0.015, x)) * (1 - outline))


@dataclass(frozen=True)
class LowBandwidth(Domain):
    """Video over a bad line: square blocks in which only the coarsest waves are left, and even fewer of colour.

    A projection onto the first six functions (three in blocks of four pixels) of the discrete cosine transform of each
    block, and onto the mean colour of four blocks; linear in the image.

    :param severity: from 1 to 5, the full map.
    """

    def full(self, x: Tensor, values: Values) -> Tensor:
        side = pixels(1 / 26, x, 4)
        light = grey(x)
        colour = x - light
        return _coarse(light, side, 2 if side < 5 else 3) + (_coarse(colour, 2 * side, 1) if x.shape[1] > 1 else 0)


def _coarse(x: Tensor, side: int, waves: int) -> Tensor:
    """Keep ``waves`` x ``waves`` cosines (less the diagonal corner) of every block of ``side`` pixels."""
    height, width = x.shape[2:]
    padded = functional.pad(x, (0, -width % side, 0, -height % side), mode="replicate")
    basis = _cosines(side, waves, x.dtype, x.device)
    total = torch.zeros_like(padded)
    for v in range(waves):
        for u in range(waves - v):
            pattern = (basis[v][:, None] * basis[u]).repeat(padded.shape[2] // side, padded.shape[3] // side)
            amount = functional.avg_pool2d(padded * pattern, side)
            total = total + pattern * amount.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return total[:, :, :height, :width]


@lru_cache(maxsize=32)
def _cosines(side: int, waves: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The first functions of the DCT-II with mean square one, (waves, side)."""
    with torch.inference_mode(False):
        place = (torch.arange(side, dtype=torch.float64) + 0.5) * (math.pi / side)
        rows = torch.cos(torch.arange(waves, dtype=torch.float64)[:, None] * place)
        rows[1:] *= math.sqrt(2)
        return rows.to(device, dtype)


@dataclass(frozen=True)
class PrintAndScan(Domain):
    """Printed in a halftone on paper, then scanned: dots, weak blacks, yellowish paper, streaks and a dark edge.

    :param severity: from 1 to 5, the full map.
    """

    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        ink = deepen(faded(soften(x, pixels(0.003, x, 0)), 0.8), 0.25)
        period = max(3.0, min(x.shape[2:]) / 80)
        screens = [self._screen(x, period, angle) for angle in (15.0, 75.0, 45.0)]
        screen = torch.cat([screens[channel % 3] for channel in range(x.shape[1])], dim=1)
        strength = min(1.1, 0.5 + min(x.shape[2:]) / 400)  # dots of few pixels would drown a small image
        dots = ink + strength * ink * (1 - ink) * screen
        page = tint((0.15, 0.14, 0.16), x) + tint((0.80, 0.78, 0.68), x) * dots
        streaks = grain(x[:, :1, :1], branch(values["seed"], 0))
        paper = grain(x[:, :1], values["seed"])
        gutter = 1 - 0.35 * (-across(x) / 0.04).exp() - 0.12 * (-(1 - down(x)) / 0.05).exp()
        return (page + 0.012 * streaks + 0.012 * paper) * gutter

    @staticmethod
    def _screen(x: Tensor, period: float, angle: float) -> Tensor:
        """A grid of dots, from -1 to 1, (1, 1, H, W)."""
        turn = math.radians(angle)
        step = 2 * math.pi / period
        rows, columns = down(x) * x.shape[2] * step, across(x) * x.shape[3] * step
        first = columns * math.cos(turn) + rows * math.sin(turn)
        second = rows * math.cos(turn) - columns * math.sin(turn)
        return torch.cos(first) * torch.cos(second)


@dataclass(frozen=True)
class SimTexture(Domain):
    """A simulator's render: the shading of the image on surfaces of random colour and texture.

    Domain randomization as in Tobin et al. (IROS 2017): areas of similar brightness stand for objects, and each gets a
    colour and a pattern of its own. The borders between them are soft, so that there is a gradient.

    :param severity: from 1 to 5, the full map.
    """

    surfaces: ClassVar[int] = 5
    seeded: ClassVar[bool] = True

    def full(self, x: Tensor, values: Values) -> Tensor:
        shading = grey(flatten(x, pixels(0.01, x), 0.06))
        light = flatten(shading, pixels(0.02, x), 0.1).clamp(0, 1)
        total, weights = torch.zeros_like(x), torch.zeros_like(light)
        for surface in range(self.surfaces):
            seeds = branch(values["seed"], surface)
            centre = (surface + 0.5) / self.surfaces
            weight = torch.exp(-((light - centre) * (4.0 * self.surfaces)).square() / 8)
            total = total + weight * self._material(x, seeds)
            weights = weights + weight
        return total / weights * (0.25 + 0.95 * shading)

    @staticmethod
    def _material(x: Tensor, seeds: Tensor) -> Tensor:
        """A colour and its pattern, stripes, checks or clouds: (B, C, H, W)."""
        random = uniform_field(seeds, 6 + 2 * x.shape[1], x.dtype)[:, :, None, None, None]
        kind, angle, wave, phase = random[:, :4].unbind(1)
        colours = muted(random[:, 4:].squeeze(2).view(len(x), 2, x.shape[1] + 1, 1, 1), dim=2)
        turn, step = angle * math.pi, min(1.0, min(x.shape[2:]) / 128) * (8 + 14 * wave) * 2 * math.pi
        rows, columns = down(x), across(x)
        first = torch.cos(step * (columns * torch.cos(turn) + rows * torch.sin(turn)) + 7 * phase)
        second = torch.cos(step * (rows * torch.cos(turn) - columns * torch.sin(turn)))
        checks = torch.where(kind < 0.35, first, first * second)
        noise = 2 * clouds(x, branch(seeds, 9), 12, 2) - 1
        pattern = torch.where(kind > 0.7, noise, checks)
        blend = 0.5 + 0.5 * torch.tanh(5 * pattern)
        base, other = colours.unbind(1)
        return base + (other - base) * (0.45 * blend)

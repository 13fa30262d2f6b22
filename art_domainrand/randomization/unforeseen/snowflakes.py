"""Snow of which every flake is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from art_domainrand.core.checks import require
from art_domainrand.core.hashing import member_seeds, uniform_field
from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values
from art_domainrand.randomization.numerics.luma import snow_light
from art_domainrand.randomization.unforeseen.latents import (
    SHARE,
    each,
    latent_grid,
    latents,
    require_counts,
    within_rms,
)

SPARSENESS = 4
"""The power of a flake's intensity that is its opacity, as in ImageNet-UA: few flakes are bright."""

SPREAD = 40.0
"""How far the layers' directions differ from the angle of the snow, in degrees either way."""


@dataclass(frozen=True)
class Snowflakes(PixelTransform):
    """Snow in front of the image, in layers of one flake a cell; how bright each flake is, is a coordinate from 0 to 1.

    An adversary moves them ("snow" of ImageNet-UA, Kaufmann et al., arXiv:1908.08016); where the flakes lie is drawn.
    :class:`~art_domainrand.randomization.Snow` is weather, with flakes by the number.

    :param strength: what the root mean square of the flakes' brightness may be, from 0 to 1; its fourth power is the
        opacity. ImageNet-UA's eps is the root of the number of flakes times this.
    :param whiteness: how far the image is faded to the light of a winter's day, in [0, 1].
    :param angle: how far the flakes' long axes lie from straight down, in degrees, on average over the layers.
    :param size: half the length of a flake, as a share of a cell; from 0.05 to 0.5.
    :param layers: how many layers, an int >= 1.
    :param cells: the cells along a side, an int >= 1.
    :param slimness: the width of a flake over its length, above 0 and at most 1.
    :raises ValueError: for values outside these bounds.
    """

    strength: Range = Uniform(0.3, 0.8)
    whiteness: Range = Uniform(0.0, 0.3)
    angle: Range = Uniform(-40.0, 40.0)
    size: Range = Uniform(0.3, 0.5)
    layers: int = 2
    cells: int = 4
    slimness: float = 0.4
    seeded: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]] = {
        "strength": "share",
        "whiteness": "share",
        "angle": "degrees",
        "size": "share of a cell",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strength", "whiteness"):
            require_support(name, getattr(self, name), low=0, high=1)
        require_support("size", self.size, low=0.05, high=0.5)
        require_counts(layers=self.layers, cells=self.cells)
        number = isinstance(self.slimness, (int, float)) and not isinstance(self.slimness, bool)
        rule = "be a number above 0 and at most 1"
        require(number and 0 < self.slimness <= 1, "slimness", rule, self.slimness)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **latent_grid(SHARE, "flake", self.layers, self.cells, self.cells)}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        flakes = latents(values, "flake", self.layers, self.cells, self.cells)
        opacity = within_rms(flakes, values["strength"]) ** SPARSENESS
        through = torch.ones_like(x[:, :1])
        for layer in range(self.layers):
            seeds = member_seeds(values["seed"], layer)
            through = through * (1 - self._layer(x, seeds, opacity[:, layer], values))
        lit = torch.lerp(x, snow_light(x), each(values["whiteness"]))
        snowed: Tensor = 1 - (1 - lit) * through
        return snowed

    def _layer(self, x: Tensor, seeds: Tensor, opacity: Tensor, values: Values) -> Tensor:
        """How much of each pixel lies behind the flakes of one layer, (B, 1, H, W)."""
        height, width = x.shape[2:]
        cells = self.cells
        random = uniform_field(seeds, 2 * cells * cells + 3, x.dtype)
        shift_x, shift_y, turn = (random[:, -1 - place] for place in range(3))
        column, across = _in_cells(width, cells, shift_x)
        row, down = _in_cells(height, cells, shift_y)
        # Flakes stay inside their cells, so that a pixel has one to look at.
        room = (1 - 2 * values["size"]).view(-1, 1)
        centres = [(random[:, part * cells**2 : (part + 1) * cells**2] - 0.5) * room for part in (0, 1)]
        cell = (row[:, :, None] * cells + column[:, None]).flatten(1)
        centre_x, centre_y, shown = (
            table.gather(1, cell).view(-1, height, width) for table in (*centres, opacity.flatten(1))
        )
        right, below = across[:, None] - centre_x, down[:, :, None] - centre_y
        radians = torch.deg2rad(values["angle"] + (2 * turn - 1) * SPREAD).view(-1, 1, 1)
        cosine, sine = radians.cos(), radians.sin()
        along, aside = (right * sine + below * cosine), (right * cosine - below * sine) / self.slimness
        inside = 1.5 - 1.5 * (along.square() + aside.square()) / values["size"].square().view(-1, 1, 1)
        covered: Tensor = inside.clamp(0, 1) * shown
        return covered[:, None]


def _in_cells(size: int, cells: int, shift: Tensor) -> tuple[Tensor, Tensor]:
    """In which cell of a row of cells each pixel lies, (B, size), and how far right of its middle, in cells."""
    place = (torch.arange(size, dtype=shift.dtype, device=shift.device) + 0.5) * (cells / size) + shift[:, None]
    cell = place.floor()
    return cell.long() % cells, place - cell - 0.5

"""A map of colours that is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.transform import PixelTransform, Values, require_rgb
from art_domainrand.randomization.numerics.luv import from_luv, to_luv
from art_domainrand.randomization.unforeseen.latents import SIGNED, each, latent_grid, latents, require_counts

SPACES = ("luv", "rgb")


@dataclass(frozen=True)
class ReColor(PixelTransform):
    """Change colours by a smooth map, one for the whole image: what had one colour has one colour after.

    The map is given at ``nodes``^3 colours of a regular grid and runs linearly between them; how far each of these is
    moved in each channel is a coordinate from -1 to 1: an adversary moves them (ReColorAdv: Laidlaw and Feizi,
    "Functional adversarial attacks", NeurIPS 2019, whose grid is finer and held together by a penalty). Needs RGB.

    In "luv", the paper's space, equal distances look about equal: lightness, u* and v* of CIE 1976, scaled to [0, 1] as
    the paper's code does, by 100 and by 200 about the middle. What no screen shows is clipped at the pipeline's end.

    :param strength: how far a colour moves at most in each channel of the space, >= 0, in units of [0, 1].
    :param nodes: the colours along each axis of the grid, an int >= 2.
    :param colour_space: "luv", or "rgb" for moves of the channels themselves.
    :raises ValueError: for values outside these bounds, and images that are not RGB.
    """

    strength: Range = Uniform(0.0, 0.15)
    nodes: int = 3
    colour_space: str = "luv"
    units: ClassVar[Mapping[str, str]] = {"strength": "intensity"}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_support("strength", self.strength, low=0)
        require_counts(nodes=self.nodes)
        require(self.nodes >= 2, "nodes", "be an int >= 2", self.nodes)
        require(self.colour_space in SPACES, "colour_space", f"be one of {list(SPACES)}", self.colour_space)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **latent_grid(SIGNED, "move", 3, self.nodes, self.nodes, self.nodes)}

    def check_channels(self, channels: int) -> None:
        require_rgb(self, channels)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        self.check_channels(x.shape[1])
        moves = latents(values, "move", 3, self.nodes, self.nodes, self.nodes)
        colours = to_luv(x) if self.colour_space == "luv" else x
        # The volume is read at the colours; one beyond [0, 1] moves like the nearest inside.
        place = (2 * colours - 1).permute(0, 2, 3, 1)[:, None]
        moved = functional.grid_sample(moves, place, mode="bilinear", padding_mode="border", align_corners=True)
        move = moved[:, :, 0] * each(values["strength"])
        if self.colour_space == "rgb":
            return x + move
        return x + (from_luv(colours + move) - from_luv(colours))  # exactly x where nothing moves

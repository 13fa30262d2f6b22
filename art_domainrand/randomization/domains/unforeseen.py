"""The attacks of ImageNet-UA's core set, StAdv and ReColorAdv, at the strengths that were published.

Settings and eps are those of Kaufmann et al., "Testing robustness against unforeseen adversaries" (arXiv:1908.08016,
version of 2023): for each data set three levels of distortion, as in their code (``default_epsilons`` of the data set's
config) and their defaults of each attack (``attack_params_*_default.conf``): Gabor kernels of 23 pixels, .1 of the
pixels, 3 and 5 sides; flakes in squares of 3 and 15 pixels from corner to corner and about 6 pixels either way, with
squares that add up to 4.95 and 12.7 pixels on average (of 2000 that their ``make_snow_kernels`` made), one in 10 and 15
pixels square, five layers, .15 discoloured; blocks of 4 and 16 pixels; 16 and 56 lines; 5 and 40 shapes of 4 and 15
pixels, edges of 2 (their window of 5), transparency .2 and .1, saturation of .7 and value of .8 at least; 5 and 4
rings, root 8, 16 and 32 points of bend along a side; a flow at every 32nd pixel of ImageNet. The attacks of the first
version (Kang et al. 2019) were others; nothing here is of it. The bounds of StAdv and ReColorAdv are those of Laidlaw,
Singla and Feizi (ICLR 2021).

Where theirs has a field for every pixel of an image, ours has a grid, so that a search over the unit cube stays
possible; the module of each transform says how its strength follows from eps. Differences: no flow folds, and that of
CIFAR-10 has 8 cells along a side (theirs 16) with the same L2 norm, so that a drawn one displaces pixels as far; a
flake is opaque instead of added, a shape blended where theirs adds its colour in full, the edges of shapes have one
brightness each, and directions, frequencies and the places of shapes, which theirs draws, are searched too.

Where their program does not do what the description beside it says (``attacks/README.md``), ours follows that. Their
blocks blend with the colour of their corner, not their mean: 1.55 times as far (L2, CIFAR-10). Their
bars and flows are read half a pixel aside of where pixels lie, and flows with nothing beyond the border, so that an
image is blurred, and its border dark, where nothing is displaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.distributions import Distribution, Uniform
from art_domainrand.randomization.core.transform import Transform, Values, settled
from art_domainrand.randomization.domains.domain import HIGHEST, Domain
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame
from art_domainrand.randomization.unforeseen.blocks import DCTNoise, PixelBlocks
from art_domainrand.randomization.unforeseen.flow import FlowField
from art_domainrand.randomization.unforeseen.gabor import GaborNoise
from art_domainrand.randomization.unforeseen.glitch import Glitch
from art_domainrand.randomization.unforeseen.kaleidoscope import Kaleidoscope
from art_domainrand.randomization.unforeseen.recolor import ReColor
from art_domainrand.randomization.unforeseen.snowflakes import Snowflakes
from art_domainrand.randomization.unforeseen.wood import Wood

Data: TypeAlias = Literal["cifar10", "imagenet"]
"""Whose settings: for images of 32 pixels, which do for small ones, or of 224."""

Level: TypeAlias = Literal["low", "medium", "high"]
"""How much an image is distorted."""


@dataclass(frozen=True)
class UnforeseenAttack:
    """One attack on one data set.

    :param eps: the published bounds, at the levels low, medium and high.
    :param at: from a bound to the transform.
    :param scaled: the range of the transform that follows from the bound, in proportion.
    :param most: the largest bound: beyond it there is nothing more to change, or the flow would fold.
    """

    eps: tuple[float, float, float]
    at: Callable[[float], Transform]
    scaled: str = "strength"
    most: float = 1.0


def unforeseen_attack(attack: str, data: str) -> UnforeseenAttack:
    """One of :data:`UNFORESEEN`; ValueError for an unknown name."""
    require(data in get_args(Data), "data", f"be one of {list(get_args(Data))}", data)
    known = UNFORESEEN["imagenet" if data == "imagenet" else "cifar10"]
    require(attack in known, "attack", f"be one of {list(known)}", attack)
    return known[attack]


def _gabor(eps: float, side: int, cells: int, directions: int) -> Transform:
    """Theirs: impulses in a tenth of the pixels, a flat window of 23 x 23, 3 to 5.75 waves in it."""
    window, density = 23, 0.1
    # The variance of waves, the first of weight one and each other of weight 1 / directions, and of uniform weights.
    power = (1 + (directions - 1) / directions**2) / 2 / 3
    return GaborNoise(
        eps * math.sqrt(density * window**2 * power),
        frequency=Uniform(3 * side / window, 5.75 * side / window),
        size=window / math.sqrt(12) / side,
        cells=cells,
        directions=directions,
    )


def _snow(eps: float, side: int, apart: int, half: float, square: float, cells: int) -> Transform:
    """Theirs: five layers of a flake in ``apart`` x ``apart`` pixels on average.

    :param half: half the length of a flake, in pixels.
    :param square: the sum of the squares of a flake's opacities, in pixels. A flake of ours with half axes a and b has
        5/9 pi a b: of the square of its opacity, clamp(1.5 - 1.5 r^2, 0, 1), the mean over the ellipse is 5/9.
    """
    return Snowflakes(
        strength=eps / _most_snow(side, apart),
        whiteness=0.15,
        size=half * cells / side,
        layers=5,
        cells=cells,
        slimness=square / (5 / 9 * math.pi * half**2),
    )


def _most_snow(side: int, apart: int) -> float:
    """The bound at which every flake of the five layers is at its brightest."""
    return math.sqrt(5 * (side / apart) ** 2)


UNFORESEEN: dict[Data, dict[str, UnforeseenAttack]] = {
    "cifar10": {
        "gabor": UnforeseenAttack((0.02, 0.03, 0.04), lambda eps: _gabor(eps, 32, cells=10, directions=3)),
        "snow": UnforeseenAttack(
            (3, 4, 5),
            lambda eps: _snow(eps, 32, apart=10, half=1.5 * math.sqrt(2), square=4.95, cells=3),
            most=_most_snow(32, 10),
        ),
        "pixel": UnforeseenAttack(
            (1, 5, 10), lambda eps: PixelBlocks(eps / (math.sqrt(3) * 8), blocks=8), most=math.sqrt(3) * 8
        ),
        "jpeg": UnforeseenAttack((1 / 255, 3 / 255, 6 / 255), lambda eps: DCTNoise(eps, blocks=4, frequencies=4)),
        "kaleidoscope": UnforeseenAttack(
            (0.05, 0.1, 0.15), lambda eps: Kaleidoscope(eps, opacity=0.8, size=4 / 32, edge=2 / 32, shapes=5)
        ),
        "glitch": UnforeseenAttack((0.03, 0.05, 0.1), lambda eps: Glitch(eps / 2, lines=16)),
        "wood": UnforeseenAttack((0.03, 0.05, 0.1), lambda eps: Wood(eps, depth=1.0, rings=5.0, nodes=16)),
        "elastic": UnforeseenAttack(
            (0.1, 0.25, 0.5), lambda eps: FlowField(0.48, rms=eps / math.sqrt(8), cells=8), "rms", 0.48 * math.sqrt(8)
        ),
        "stadv": UnforeseenAttack(
            (0.025, 0.05, 0.1), lambda eps: FlowField(eps * 8 / 2, rms=0.48, cells=8), most=0.48 * 2 / 8
        ),
        "recolor": UnforeseenAttack((0.03, 0.06, 0.12), lambda eps: ReColor(eps, nodes=4)),
    },
    "imagenet": {
        "gabor": UnforeseenAttack((0.02, 0.04, 0.06), lambda eps: _gabor(eps, 224, cells=16, directions=5)),
        "snow": UnforeseenAttack(
            (10, 15, 25), lambda eps: _snow(eps, 224, apart=15, half=6, square=12.7, cells=8), most=_most_snow(224, 15)
        ),
        "pixel": UnforeseenAttack(
            (3, 5, 10), lambda eps: PixelBlocks(eps / (math.sqrt(3) * 14), blocks=14), most=math.sqrt(3) * 14
        ),
        "jpeg": UnforeseenAttack((1 / 255, 3 / 255, 6 / 255), lambda eps: DCTNoise(eps, blocks=8, frequencies=2)),
        "kaleidoscope": UnforeseenAttack(
            (0.05, 0.1, 0.15), lambda eps: Kaleidoscope(eps, opacity=0.9, size=15 / 224, edge=2 / 224, shapes=40)
        ),
        "glitch": UnforeseenAttack((0.03, 0.05, 0.07), lambda eps: Glitch(eps / 2, lines=56)),
        "wood": UnforeseenAttack((0.03, 0.05, 0.1), lambda eps: Wood(eps, depth=1.0, rings=4.0, nodes=32)),
        "elastic": UnforeseenAttack(
            (0.1, 0.25, 0.5), lambda eps: FlowField(0.48, rms=eps / math.sqrt(8), cells=7), "rms", 0.48 * math.sqrt(8)
        ),
        "stadv": UnforeseenAttack(
            (0.025, 0.05, 0.1), lambda eps: FlowField(eps * 8 / 2, rms=0.48, cells=8), most=0.48 * 2 / 8
        ),
        "recolor": UnforeseenAttack((0.03, 0.06, 0.12), lambda eps: ReColor(eps, nodes=4)),
    },
}
"""Data set -> attack -> bounds and transform. The first eight of each are ImageNet-UA's core set."""


@dataclass(frozen=True)
class UnforeseenDomain(Domain):
    """An attack of ImageNet-UA, StAdv or ReColorAdv without its adversary: all that it would choose is drawn.

    The bound grows with severity: 1 is the level low, 3 medium, 5 high, and it runs linearly between them.

    :param severity: from 1 to 5.
    :param attack: as in :func:`~art_domainrand.randomization.imagenet_ua`.
    :param data: whose settings, "cifar10" or "imagenet".
    :raises ValueError: for a severity outside these bounds, an unknown attack or data.
    """

    attack: str = "wood"
    data: Data = "cifar10"

    def __post_init__(self) -> None:
        super().__post_init__()
        unforeseen_attack(self.attack, self.data)

    @property
    def published(self) -> UnforeseenAttack:
        """The attack's bounds."""
        return unforeseen_attack(self.attack, self.data)

    @cached_property
    def highest(self) -> Transform:
        """The transform at severity 5."""
        return self.published.at(self.published.eps[2])

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **self.highest.parameters}

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether the transform is."""
        return self.highest.seeded

    def check_channels(self, channels: int) -> None:
        self.highest.check_channels(channels)

    def full(self, x: Tensor, values: Values) -> Tensor:
        return self.highest.apply(x, values)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return self.highest.apply(x, self._at_severity(values))

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        carried = self.highest.carry(points, self._at_severity(values), frame, way)
        return settled(self.highest, carried, frame, way)

    def _at_severity(self, values: Values) -> Values:
        low, medium, high = self.published.eps
        severity = values["severity"]
        upwards = (severity - 3) / 2
        eps = medium + torch.where(upwards < 0, upwards * (medium - low), upwards * (high - medium))
        share = torch.where(severity == HIGHEST, 1.0, eps / high)
        return {**values, self.published.scaled: values[self.published.scaled] * share}


UNFORESEEN_DOMAINS: dict[str, Callable[[], Domain]] = {
    (name if name in ("stadv", "recolor") else f"ua_{name}"): partial(UnforeseenDomain, attack=name)
    for name in UNFORESEEN["cifar10"]
}
"""Name -> what makes the domain, called without arguments: "ua_" and a name of ImageNet-UA's, or "stadv", "recolor".

Not in ``DOMAINS``: each is a threat of its own, of which a draw is not the worst.
"""

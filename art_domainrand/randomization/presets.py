"""Ready pipelines by name."""

from __future__ import annotations

import math
from typing import get_args

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import require
from art_domainrand.randomization.core.composites import OneOf, Sometimes
from art_domainrand.randomization.core.distributions import LogUniform, Uniform
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.random_order import RandomOrder
from art_domainrand.randomization.domains import DOMAINS
from art_domainrand.randomization.domains.unforeseen import UNFORESEEN_DOMAINS, Data, Level, unforeseen_attack
from art_domainrand.randomization.policies.adversarial import idbh
from art_domainrand.randomization.policies.chains import augmix, prime
from art_domainrand.randomization.policies.single import rand_augment, trivial_augment
from art_domainrand.randomization.transforms.blur import GaussianBlur
from art_domainrand.randomization.transforms.color import (
    Brightness,
    Contrast,
    Grayscale,
    HSVHue,
    Hue,
    Saturation,
    WhiteBalance,
)
from art_domainrand.randomization.transforms.compression import JPEG
from art_domainrand.randomization.transforms.displacement import Elastic, LensDistortion, RollingShutter
from art_domainrand.randomization.transforms.flare import SunFlare
from art_domainrand.randomization.transforms.gamma import Gamma
from art_domainrand.randomization.transforms.geometry import Rotation, Scale, Shear, Translation
from art_domainrand.randomization.transforms.illumination import Shadow, UnevenIllumination, Vignette
from art_domainrand.randomization.transforms.lens_blur import DefocusBlur, MotionBlur
from art_domainrand.randomization.transforms.noise import GaussianNoise
from art_domainrand.randomization.transforms.occlusion import Occlusion
from art_domainrand.randomization.transforms.occlusion_patterns import BackgroundRandomization, TextureRandomization
from art_domainrand.randomization.transforms.perspective import Perspective
from art_domainrand.randomization.transforms.random_corruption import RandomCorruption
from art_domainrand.randomization.transforms.sensor import ImpulseNoise, ISONoise, Quantization, ShotNoise
from art_domainrand.randomization.transforms.tone import HSVSaturation
from art_domainrand.randomization.transforms.weather import Fog, Frost, Rain, Snow, Spatter

# Pixels that come from beyond the image repeat its border: a black wedge would tell a model by how much it was turned.
_BORDER = "border"


def _camera_pose(angle: float, distortion: float) -> list[Rotation | Scale | Translation | Perspective]:
    """A camera held by up to ``angle`` degrees differently; one resampling."""
    return [
        Rotation((-angle, angle), padding=_BORDER),
        Scale(LogUniform(0.9, 1.1), padding=_BORDER),
        Translation((-0.05, 0.05), (-0.05, 0.05), padding=_BORDER),
        Perspective((0.0, distortion), padding=_BORDER),
    ]


def imagenet_ua(attack: str, level: Level | float = "medium", data: Data = "cifar10") -> Pipeline:
    """A pipeline for the attack on the domain: an unforeseen adversary of ImageNet-UA, StAdv or ReColorAdv.

    :param attack: "gabor", "snow", "pixel", "jpeg", "kaleidoscope", "glitch", "wood" or "elastic" of ImageNet-UA's core
        set (Kaufmann et al., arXiv:1908.08016), "stadv" (Xiao et al., ICLR 2018) or "recolor" (Laidlaw and Feizi,
        NeurIPS 2019; needs RGB).
    :param level: "low", "medium", "high", or eps itself as the paper has it, >= 0. The levels of "stadv" and "recolor"
        are half of, just, and twice the bound of Laidlaw, Singla and Feizi (ICLR 2021), .05 and .06.
    :param data: whose settings: "cifar10", which do for images of up to some 100 pixels, or "imagenet".
    :raises ValueError: for an unknown attack, level or data, and an eps that is too large for the attack.
    """
    found = unforeseen_attack(attack, data)
    names = get_args(Level)
    if isinstance(level, str):
        require(level in names, "level", f"be one of {list(names)} or a number >= 0", level)
        level = found.eps[names.index(level)]
    number = isinstance(level, (int, float)) and not isinstance(level, bool)
    require(number and 0 <= level < math.inf, "level", f"be one of {list(names)} or a number >= 0", level)
    require(level <= found.most, "level", f"be at most {found.most:.4g} for {attack!r}", level)
    return Pipeline(found.at(float(level)))


PRESETS: dict[str, Pipeline] = {
    "mild": Pipeline(
        [
            Rotation((-5, 5), padding=_BORDER),
            Scale(LogUniform(0.95, 1.05), padding=_BORDER),
            Translation((-0.04, 0.04), (-0.04, 0.04), padding=_BORDER),
            Brightness((-0.05, 0.05)),
            Contrast(LogUniform(0.9, 1.1)),
            GaussianNoise((0.0, 0.02)),
        ]
    ),
    "strong": Pipeline(
        [
            Rotation((-30, 30), padding=_BORDER),
            Scale(LogUniform(0.7, 1.4), padding=_BORDER),
            Shear((-15, 15), (-15, 15), padding=_BORDER),
            Translation((-0.15, 0.15), (-0.15, 0.15), padding=_BORDER),
            Sometimes(Perspective(padding=_BORDER)),
            Brightness((-0.25, 0.25)),
            Contrast(LogUniform(0.5, 2.0)),
            Gamma(LogUniform(0.6, 1.7)),
            Sometimes(GaussianBlur((0.1, 2.0))),
            GaussianNoise((0.0, 0.12)),
            Sometimes(Occlusion()),
        ]
    ),
    "geometric": Pipeline(
        [
            Rotation((-15, 15), padding=_BORDER),
            Scale(LogUniform(0.8, 1.25), padding=_BORDER),
            Shear((-10, 10), (-10, 10), padding=_BORDER),
            Translation((-0.1, 0.1), (-0.1, 0.1), padding=_BORDER),
            Perspective((0.0, 0.2), padding=_BORDER),
            LensDistortion(padding=_BORDER),
            Elastic(padding=_BORDER),
        ]
    ),
    "photometric": Pipeline(
        [
            WhiteBalance(),
            Saturation((0.5, 1.5)),
            Hue(),
            Sometimes(Grayscale(1.0), 0.1),
            Brightness(),
            Contrast(),
            Gamma(),
            Sometimes(OneOf([Vignette(), UnevenIllumination(), Shadow()])),
        ]
    ),
    "sensor": Pipeline(
        [
            Sometimes(OneOf([DefocusBlur(Uniform(0.5, 2.0)), MotionBlur(Uniform(1.0, 5.0))])),
            Vignette((0.0, 0.3)),
            OneOf([ShotNoise(), ISONoise()]),
            Sometimes(ImpulseNoise((0.0, 0.02)), 0.2),
            Sometimes(Quantization((4.0, 8.0)), 0.3),
            Sometimes(JPEG()),
        ]
    ),
    "weather": Pipeline(OneOf([Fog(), Rain(), Snow(), Frost(), Spatter(), SunFlare()])),
    # Tobin et al. (IROS 2017) and Tremblay et al. (CVPRW 2018): light, texture, background and camera, all at once.
    "sim2real": Pipeline(
        [
            *_camera_pose(8, 0.1),
            Sometimes(BackgroundRandomization(), 0.3),
            Sometimes(TextureRandomization(), 0.3),
            Sometimes(OneOf([UnevenIllumination(), Shadow()])),
            WhiteBalance(),
            Saturation(),
            Hue(),
            Brightness(),
            Contrast(),
            Sometimes(DefocusBlur(Uniform(0.5, 1.5)), 0.3),
            ISONoise(),
            Sometimes(JPEG(), 0.3),
        ]
    ),
    # Lamps of every colour, dark corners, a camera that moves, and things that come between.
    "indoor_robotics": Pipeline(
        [
            *_camera_pose(10, 0.1),
            RollingShutter((-0.03, 0.03), (-0.03, 0.03), (0.0, 0.01), padding=_BORDER),
            WhiteBalance((-0.3, 0.3), (-0.1, 0.1)),
            Brightness((-0.2, 0.1)),
            Contrast(),
            Gamma(LogUniform(0.8, 1.8)),
            Sometimes(OneOf([UnevenIllumination(), Shadow()])),
            Sometimes(MotionBlur(Uniform(1.0, 7.0))),
            Sometimes(Occlusion((0.05, 0.25), (0.05, 0.25)), 0.3),
            ISONoise(),
            Sometimes(JPEG(), 0.3),
        ]
    ),
    # No flips: they would swap the sides of the road.
    "driving": Pipeline(
        [
            *_camera_pose(3, 0.05),
            WhiteBalance(),
            Brightness(),
            Contrast(),
            Sometimes(Shadow(), 0.3),
            Sometimes(
                OneOf([Fog(), Rain(), Snow(), Spatter(), SunFlare(), DOMAINS["night"](), DOMAINS["dusk"]()]), 0.6
            ),
            Sometimes(MotionBlur(Uniform(1.0, 7.0)), 0.3),
            ISONoise(),
            Sometimes(JPEG(), 0.3),
        ]
    ),
    **{name: imagenet_ua(name.removeprefix("ua_")) for name in UNFORESEEN_DOMAINS},
    # The semantic attacks of Hsiung et al. 2023 ("Towards Compositional Adversarial Robustness", the benchmark CARBEN):
    # Kornia's functions, in ranges that ART's CompositeAdversarialAttackPyTorch has too, in any order. Contrast scales
    # pixels. There pixels are clipped after each of the five, here once, at the end.
    "carben": Pipeline(
        RandomOrder(
            [
                HSVHue((-180.0, 180.0)),
                HSVSaturation((0.7, 1.3)),
                Rotation((-10.0, 10.0)),
                Brightness((-0.2, 0.2)),
                Contrast((0.7, 1.3), pivot=0.0),
            ]
        )
    ),
    "augmix": augmix(),
    "prime": prime(),
    "trivial_augment": trivial_augment(),
    "rand_augment": rand_augment(),
    "idbh_weak": idbh("weak"),
    "idbh_strong": idbh("strong"),
    "imagenet_c": Pipeline(RandomCorruption()),
}
"""Name -> pipeline. "photometric", "sim2real", "indoor_robotics", "driving", "carben", "recolor", "trivial_augment",
"rand_augment", "idbh_weak" and "idbh_strong" need RGB; the others take any images."""


def preset(name: str) -> Pipeline:
    """Return a ready pipeline.

    :param name: its name in ``PRESETS``.
    :raises ValueError: for an unknown name, naming those there are and the nearest.
    """
    if name not in PRESETS:
        near = nearest(name, list(PRESETS)) if isinstance(name, str) else ""
        raise ValueError(f"preset must be one of {list(PRESETS)}, got {name!r}{near}")
    return PRESETS[name]

"""IDBH: augmentation for adversarial training."""

from __future__ import annotations

import math
from typing import Literal

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.clipped import Clipped
from art_domainrand.randomization.core.composites import OneOf, Sometimes
from art_domainrand.randomization.core.distributions import LogUniform, Uniform
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.policies.operations import either_way
from art_domainrand.randomization.transforms.color import Contrast, Saturation
from art_domainrand.randomization.transforms.geometry import Flip, Rotation, Shear
from art_domainrand.randomization.transforms.occlusion_patterns import Erasing
from art_domainrand.randomization.transforms.patches import CropShift
from art_domainrand.randomization.transforms.tone import AutoContrast, Equalize, Sharpness

Variant = Literal["weak", "strong", "svhn"]

_EVEN = (0.125,) * 8
_TO_SHAPE = (0.08, 0.08, 0.04, 0.08, 0.04, 0.08, 0.3, 0.3)


def idbh(variant: Variant = "strong") -> Pipeline:
    """IDBH (Li and Spratling, ICLR 2023): flip, crop, one change of colour or shape, erasing; for adversarial training.

    The paper finds each layer's strength and diversity one after the other, and its settings are the authors'. Needs
    RGB, of 32 pixels or so: :class:`CropShift` counts pixels.

    :param variant: "weak" (half of the images have a part erased) and "strong" (all have) are those for CIFAR-10, the
        latter for larger networks and longer training; "svhn" is for digits in the street, with more of shape.
    :raises ValueError: for another variant.
    """
    known = ("weak", "strong", "svhn")
    require(variant in known, "variant", f"be one of {list(known)}", variant)
    svhn = variant == "svhn"
    erasing = Erasing(Uniform(0.02, 0.5 if svhn else 0.33), LogUniform(0.3, 3.3), fill=0.0)
    changes = color_or_shape(0.35, 30, _TO_SHAPE) if svhn else color_or_shape(0.15, 10, _EVEN)
    crop = CropShift(0, 8 if svhn else 10)
    return Pipeline([Flip(), crop, Clipped(changes), Sometimes(erasing, 0.5) if variant == "weak" else erasing])


def color_or_shape(shear: float, angle: int, weights: tuple[float, ...]) -> OneOf:
    """One of colour, brightness, contrast, sharpness, automatic contrast, equalizing, shear and rotation.

    :param shear: the largest angle of a shear, in radians.
    :param angle: the largest rotation, in whole degrees.
    :param weights: the probability of each.
    """
    vivid, bright = Uniform(0.1, 1.9), Uniform(0.5, 1.9)
    low, high = math.degrees(0.05), math.degrees(shear)
    slants: list[Transform] = [
        slant for way in (Uniform(low, high), Uniform(-high, -low)) for slant in (_shear(way), _shear(0.0, way))
    ]
    turn = Rotation(either_way(map(float, range(1, angle + 1))), mode="nearest")
    colours = [Saturation(vivid), Contrast(bright, pivot=0.0), Contrast(bright), Sharpness(vivid)]
    return OneOf([*colours, AutoContrast(1.0), Equalize(1.0), OneOf(slants), turn], weights)


def _shear(x: Uniform | float, y: Uniform | float = 0.0) -> Shear:
    return Shear(x, y, mode="nearest")

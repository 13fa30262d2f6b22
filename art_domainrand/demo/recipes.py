"""What the demo compares: how each model is trained, and the domains it is trained and judged on."""

from __future__ import annotations

from dataclasses import dataclass

from art_domainrand.randomization import (
    Brightness,
    Contrast,
    Gamma,
    GaussianBlur,
    GaussianNoise,
    Occlusion,
    OneOf,
    Perspective,
    Pipeline,
    Rotation,
    Scale,
    Shear,
    Translation,
)

EPS = 0.1
"""The L-inf budget of all attacks, in units of [0, 1]."""

TRAINING_DOMAIN = Pipeline(
    [
        Rotation((-15, 15)),
        Scale((0.85, 1.15)),
        Shear((-10, 10)),
        Translation((-0.1, 0.1), (-0.1, 0.1)),
        Contrast((0.6, 1.2)),
        Brightness((-0.1, 0.1)),
        GaussianNoise((0.0, 0.05)),
    ]
)
"""What the randomized models see in training."""

HELD_OUT_DOMAIN = Pipeline(
    [
        OneOf([Rotation((-25, -15)), Rotation((15, 25))]),
        Perspective((0.0, 0.3)),
        Gamma((0.6, 1.6)),
        GaussianBlur((0.3, 1.2)),
        Occlusion((0.1, 0.25), (0.1, 0.25)),
    ]
)
"""The shift that models are judged under, and that none was trained on.

Rotations begin where those of training end; perspective, gamma, blur and occlusion do not occur in training at all.
"""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: on adversarial images, on randomized images, on both, or on neither."""

    adversarial: bool = False
    randomized: bool = False


RECIPES = {
    "standard": Recipe(),
    "adversarial": Recipe(adversarial=True),
    "randomized": Recipe(randomized=True),
    "both": Recipe(adversarial=True, randomized=True),
}
"""The models of the demo; all share network, data, epochs and learning rates."""

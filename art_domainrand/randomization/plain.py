"""One plain function for those who want random geometry and no objects."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.randomization.core.distributions import Uniform
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.transforms.geometry import Rotation, Scale, Shear, Translation


@suggesting_names
def random_transform(
    x: Tensor,
    angle: float = 15,
    scale: float = 0.1,
    shear: float = 10,
    translate: float = 0.1,
    *,
    padding: str = "zeros",
    mode: str = "bilinear",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Rotate, scale, shear and shift every image at random, in a single resampling.

    Differentiable with respect to ``x``.

    :param x: images (B, C, H, W), floating, in [0, 1].
    :param angle: each is turned by up to so many degrees either way; >= 0.
    :param scale: each is magnified by a factor between 1 - scale and 1 + scale; in [0, 1).
    :param shear: each is slanted by up to so many degrees along both axes; from 0 to 89.
    :param translate: each is shifted by up to such a share of its size; >= 0.
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param generator: where the draw comes from; without one a private one is seeded afresh.
    :return: images of the same shape, not clipped.
    :raises TypeError: for a strength that is no number.
    :raises ValueError: for a strength outside these bounds, and an unknown mode or padding.
    """
    slant = _symmetric("shear", shear, 89)
    magnify = _symmetric("scale", scale, 1 - 1e-6)
    shift = _symmetric("translate", translate)
    pipeline = Pipeline(
        [
            Rotation(_symmetric("angle", angle), mode=mode, padding=padding),
            Scale(Uniform(1 + magnify.low, 1 + magnify.high), mode=mode, padding=padding),
            Shear(slant, slant, mode=mode, padding=padding),
            Translation(shift, shift, mode=mode, padding=padding),
        ]
    )
    return pipeline(x, generator)


def _symmetric(name: str, strength: float, limit: float = math.inf) -> Uniform:
    if isinstance(strength, bool) or not isinstance(strength, Real):
        raise TypeError(f"{name} must be a number, the strength either way, got {strength!r}")
    strength = float(strength)
    if not 0 <= strength <= limit or not math.isfinite(strength):
        rule = "finite and >= 0" if math.isinf(limit) else f"in [0, {limit:g}]"
        raise ValueError(f"{name} must be {rule}, got {strength}")
    return Uniform(-strength, strength)

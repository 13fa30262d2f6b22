"""Pipelines that move pixels, and labels to be moved, for the tests of labels."""

import torch

from art_domainrand.randomization import (
    Brightness,
    Draw,
    Elastic,
    Flip,
    Gamma,
    GaussianNoise,
    LensDistortion,
    OneOf,
    Perspective,
    Pipeline,
    RollingShutter,
    Rotation,
    Scale,
    Shear,
    Sometimes,
    ThinPlate,
)

H, W = 56, 72
MOVES = {
    "rotation": Rotation(),
    "perspective": Perspective(),
    "elastic": Elastic(0.4),
    "thin_plate": ThinPlate(),
    "barrel": LensDistortion(0.5),
    "pincushion": LensDistortion(-0.3),
    "off_centre": LensDistortion(0.3, 0.1, 0.2, -0.2),
    "rolling_shutter": RollingShutter(),
    "run": [Rotation(), Elastic(), Scale(), ThinPlate(), Flip()],
    "gates": [Sometimes(Elastic()), OneOf([LensDistortion(), Rotation(), [ThinPlate(), Shear()]])],
    "stages": [Elastic(), Brightness(), Rotation(), Gamma(), OneOf([GaussianNoise(), ThinPlate()])],
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(items, batch=4, seed=0):
    pipeline = Pipeline(items)
    draw = pipeline.sample(batch, seeded(seed))
    return pipeline, Draw(draw.u.double(), draw.seeds)


def points(batch=4, count=6, low=0.3, high=0.7):
    """Keypoints in the middle of the image."""
    unit = torch.rand(batch, count, 2, generator=seeded(7), dtype=torch.float64)
    return (low + (high - low) * unit) * torch.tensor([W, H])

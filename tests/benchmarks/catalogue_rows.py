"""Every transform beside its counterpart in Kornia and torchvision.

Rows for ``randomization.py``: name -> ours, and a function that makes the other library's module of the same kind and
about the same range. What neither library has is timed beside a copy of the batch, the least that any change of it
takes, so that no transform is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import kornia.augmentation as K  # noqa: N812 - the name Kornia's own documentation uses
import torch
from torch import nn
from torchvision.transforms import v2

from art_domainrand import randomization as R  # noqa: N812


def around(middle: float) -> torch.Tensor:
    """A range of Kornia's fisheye."""
    return torch.tensor([middle - 0.1, middle + 0.1])


KORNIA: dict[str, tuple[R.Transform, Callable[[], nn.Module]]] = {
    "rotation": (R.Rotation(), lambda: K.RandomRotation(15.0, p=1.0)),
    "scale": (R.Scale(), lambda: K.RandomAffine(0.0, scale=(0.9, 1.1), p=1.0)),
    "shear": (R.Shear(), lambda: K.RandomShear(10.0, p=1.0)),
    "translation": (R.Translation(), lambda: K.RandomTranslate((-0.1, 0.1), (-0.1, 0.1), p=1.0)),
    "flip": (R.Flip(), lambda: K.RandomHorizontalFlip(p=0.5)),
    "perspective": (R.Perspective(), lambda: K.RandomPerspective(0.25, p=1.0)),
    "brightness": (R.Brightness(), lambda: K.RandomBrightness((0.8, 1.2), p=1.0)),
    "contrast": (R.Contrast(), lambda: K.RandomContrast((0.7, 1.4), p=1.0)),
    "saturation": (R.Saturation(), lambda: K.RandomSaturation((0.6, 1.4), p=1.0)),
    "hue": (R.Hue(), lambda: K.RandomHue((-0.05, 0.05), p=1.0)),
    "hsv_hue": (R.HSVHue(), lambda: K.RandomHue((-0.05, 0.05), p=1.0)),
    "hsv_saturation": (R.HSVSaturation(), lambda: K.RandomSaturation((0.6, 1.4), p=1.0)),
    "grayscale": (R.Grayscale(), lambda: K.RandomGrayscale(p=1.0)),
    "invert": (R.Invert(1.0), lambda: K.RandomInvert(p=1.0)),
    "gamma": (R.Gamma(), lambda: K.RandomGamma((0.7, 1.4), p=1.0)),
    "gaussian_noise": (R.GaussianNoise(0.05), lambda: K.RandomGaussianNoise(std=0.05, p=1.0)),
    "gaussian_blur": (R.GaussianBlur((0.1, 1.5)), lambda: K.RandomGaussianBlur((11, 11), (0.1, 1.5), p=1.0)),
    "occlusion": (R.Occlusion(), lambda: K.RandomErasing((0.02, 0.15), p=1.0)),
    "white_balance": (R.WhiteBalance(), lambda: K.RandomPlanckianJitter(p=1.0)),
    "channel_shuffle": (R.ChannelShuffle(), lambda: K.RandomChannelShuffle(p=1.0)),
    "channel_dropout": (R.ChannelDropout(), lambda: K.RandomChannelDropout(p=1.0)),
    "rgb_shift": (R.RGBShift(), lambda: K.RandomRGBShift(0.1, 0.1, 0.1, p=1.0)),
    "solarize": (R.Solarize(), lambda: K.RandomSolarize((0.4, 1.0), 0.0, p=1.0)),
    "posterize": (R.Posterize(), lambda: K.RandomPosterize((3.0, 6.0), p=1.0)),
    "equalize": (R.Equalize(1.0), lambda: K.RandomEqualize(p=1.0)),
    "auto_contrast": (R.AutoContrast(1.0), lambda: K.RandomAutoContrast(p=1.0)),
    "sharpness": (R.Sharpness(), lambda: K.RandomSharpness((0.0, 3.0), p=1.0)),
    "uneven_illumination": (R.UnevenIllumination(), lambda: K.RandomGaussianIllumination(p=1.0)),
    "shadow": (R.Shadow(), lambda: K.RandomPlasmaShadow(p=1.0)),
    "impulse_noise": (R.ImpulseNoise(), lambda: K.RandomSaltAndPepperNoise((0.0, 0.1), p=1.0)),
    "motion_blur": (R.MotionBlur(), lambda: K.RandomMotionBlur(11, (0.0, 180.0), 1.0, "reflect", p=1.0)),
    "jpeg": (R.JPEG(), lambda: K.RandomJPEG((30.0, 95.0), p=1.0)),
    "erasing": (R.Erasing(fill=0.0), lambda: K.RandomErasing(p=1.0)),
    "elastic": (R.Elastic(), lambda: K.RandomElasticTransform(p=1.0)),
    "thin_plate": (R.ThinPlate(), lambda: K.RandomThinPlateSpline(0.15, p=1.0)),
    "lens_distortion": (R.LensDistortion(), lambda: K.RandomFisheye(around(0.0), around(0.0), around(1.0), p=1.0)),
    "grid_shuffle": (R.GridShuffle(4, 4), lambda: K.RandomJigsaw((4, 4), p=1.0)),
    "snow": (R.Snow(), lambda: K.RandomSnow((0.1, 0.3), (1.5, 2.5), p=1.0)),
}

SIZED: dict[str, tuple[R.Transform, Callable[[tuple[int, int]], nn.Module]]] = {
    "crop | Kornia": (R.Crop(), lambda size: K.RandomResizedCrop(size, (0.7, 1.0), (0.8, 1.25), p=1.0)),
    "crop | torchvision": (R.Crop(), lambda size: v2.RandomResizedCrop(size, (0.7, 1.0), (0.8, 1.25))),
    "rain | Kornia": (R.Rain(), lambda size: K.RandomRain((math.prod(size) // 50, math.prod(size) // 25), p=1.0)),
}
"""Theirs are told the size of the image: Kornia's default of 1000 to 2000 drops is for 224 pixels."""

TORCHVISION: dict[str, tuple[R.Transform, Callable[[], nn.Module]]] = {
    "channel_shuffle": (R.ChannelShuffle(), lambda: v2.RandomChannelPermutation()),
    "solarize": (R.Solarize(), lambda: v2.RandomSolarize(0.7, p=1.0)),
    "auto_contrast": (R.AutoContrast(1.0), lambda: v2.RandomAutocontrast(p=1.0)),
    "sharpness": (R.Sharpness(), lambda: v2.RandomAdjustSharpness(2.0, p=1.0)),
    "equalize": (R.Equalize(1.0), lambda: v2.RandomEqualize(p=1.0)),
    "erasing": (R.Erasing(fill=0.0), lambda: v2.RandomErasing(p=1.0)),
    "invert": (R.Invert(1.0), lambda: v2.RandomInvert(1.0)),
    "gaussian_noise": (R.GaussianNoise(0.05), lambda: v2.GaussianNoise(sigma=0.05)),
    "gaussian_blur": (R.GaussianBlur((0.1, 1.5)), lambda: v2.GaussianBlur(11, (0.1, 1.5))),
    "perspective": (R.Perspective(), lambda: v2.RandomPerspective(0.25, 1.0)),
    "elastic": (R.Elastic(), lambda: v2.ElasticTransform()),
}
"""One draw for the whole batch, as torchvision works; the comparison is of the pixels' arithmetic."""

_BESIDE = {name.split(" | ")[0] for table in (KORNIA, SIZED, TORCHVISION) for name in table}
ALONE: dict[str, R.Transform] = {name: cls() for name, cls in R.TRANSFORMS.items() if name not in _BESIDE}
"""Neither library has these; they are timed beside a copy of the batch."""

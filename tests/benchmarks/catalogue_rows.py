"""The transforms of colour, light, sensor, blur, codec and occlusion beside their counterparts elsewhere.

Rows for ``randomization.py``: name -> ours, and a function that makes the other library's module of the same kind and
about the same range. What neither library has is timed beside a copy
of the batch, the least that any change of it takes.
"""

from __future__ import annotations

from collections.abc import Callable

import kornia.augmentation as K  # noqa: N812 - the name Kornia's own documentation uses
from torch import nn
from torchvision.transforms import v2

from art_domainrand import randomization as R  # noqa: N812

KORNIA: dict[str, tuple[R.Transform, Callable[[], nn.Module]]] = {
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
}

TORCHVISION: dict[str, tuple[R.Transform, Callable[[], nn.Module]]] = {
    "channel_shuffle": (R.ChannelShuffle(), lambda: v2.RandomChannelPermutation()),
    "solarize": (R.Solarize(), lambda: v2.RandomSolarize(0.7, p=1.0)),
    "auto_contrast": (R.AutoContrast(1.0), lambda: v2.RandomAutocontrast(p=1.0)),
    "sharpness": (R.Sharpness(), lambda: v2.RandomAdjustSharpness(2.0, p=1.0)),
    "equalize": (R.Equalize(1.0), lambda: v2.RandomEqualize(p=1.0)),
    "erasing": (R.Erasing(fill=0.0), lambda: v2.RandomErasing(p=1.0)),
}
"""One draw for the whole batch, as torchvision works; the comparison is of the pixels' arithmetic."""

ALONE: dict[str, R.Transform] = {
    name: R.TRANSFORMS[name]()
    for name in (
        "vignette", "shot_noise", "speckle_noise", "iso_noise", "quantization", "defocus_blur", "zoom_blur",
        "glass_blur", "pixelate", "grid_mask", "background", "texture",
    )
}  # fmt: skip
"""Neither library has these; they are timed beside a copy of the batch."""

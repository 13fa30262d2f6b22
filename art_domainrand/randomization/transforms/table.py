"""The table of all transforms; the contract tests run over it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from numbers import Real
from typing import Any

from art_domainrand.core.arguments import argument_names, suggesting_names
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.prime.color_curve import ColorCurve
from art_domainrand.randomization.prime.diffeomorphism import Diffeomorphism
from art_domainrand.randomization.prime.random_filter import RandomFilter
from art_domainrand.randomization.transforms.blur import GaussianBlur
from art_domainrand.randomization.transforms.channel_order import ChannelDropout, ChannelShuffle, RGBShift
from art_domainrand.randomization.transforms.color import (
    Brightness,
    Contrast,
    Grayscale,
    HSVHue,
    Hue,
    Invert,
    Saturation,
    WhiteBalance,
)
from art_domainrand.randomization.transforms.compression import JPEG, Pixelate
from art_domainrand.randomization.transforms.displacement import Elastic, LensDistortion, RollingShutter, ThinPlate
from art_domainrand.randomization.transforms.flare import SunFlare
from art_domainrand.randomization.transforms.gamma import Gamma
from art_domainrand.randomization.transforms.geometry import Crop, Flip, PixelShift, Rotation, Scale, Shear, Translation
from art_domainrand.randomization.transforms.illumination import Shadow, UnevenIllumination, Vignette
from art_domainrand.randomization.transforms.lens_blur import DefocusBlur, GlassBlur, MotionBlur, ZoomBlur
from art_domainrand.randomization.transforms.noise import GaussianNoise
from art_domainrand.randomization.transforms.occlusion import Occlusion
from art_domainrand.randomization.transforms.occlusion_patterns import (
    BackgroundRandomization,
    Erasing,
    GridMask,
    TextureRandomization,
)
from art_domainrand.randomization.transforms.patches import CropShift, GridShuffle
from art_domainrand.randomization.transforms.perspective import Perspective
from art_domainrand.randomization.transforms.sensor import ImpulseNoise, ISONoise, Quantization, ShotNoise, SpeckleNoise
from art_domainrand.randomization.transforms.tone import (
    AutoContrast,
    Equalize,
    HSVSaturation,
    Posterize,
    Sharpness,
    Solarize,
)
from art_domainrand.randomization.transforms.weather import Fog, Frost, Rain, Snow, Spatter
from art_domainrand.randomization.unforeseen.blocks import DCTNoise, PixelBlocks
from art_domainrand.randomization.unforeseen.flow import FlowField
from art_domainrand.randomization.unforeseen.gabor import GaborNoise
from art_domainrand.randomization.unforeseen.glitch import Glitch
from art_domainrand.randomization.unforeseen.kaleidoscope import Kaleidoscope
from art_domainrand.randomization.unforeseen.recolor import ReColor
from art_domainrand.randomization.unforeseen.snowflakes import Snowflakes
from art_domainrand.randomization.unforeseen.wood import Wood

TRANSFORMS: dict[str, type[Transform]] = {
    "rotation": Rotation,
    "scale": Scale,
    "shear": Shear,
    "translation": Translation,
    "pixel_shift": PixelShift,
    "crop": Crop,
    "flip": Flip,
    "perspective": Perspective,
    "elastic": Elastic,
    "thin_plate": ThinPlate,
    "lens_distortion": LensDistortion,
    "rolling_shutter": RollingShutter,
    "grid_shuffle": GridShuffle,
    "crop_shift": CropShift,
    "brightness": Brightness,
    "contrast": Contrast,
    "saturation": Saturation,
    "grayscale": Grayscale,
    "invert": Invert,
    "hue": Hue,
    "hsv_hue": HSVHue,
    "hsv_saturation": HSVSaturation,
    "white_balance": WhiteBalance,
    "gamma": Gamma,
    "channel_shuffle": ChannelShuffle,
    "channel_dropout": ChannelDropout,
    "rgb_shift": RGBShift,
    "solarize": Solarize,
    "posterize": Posterize,
    "equalize": Equalize,
    "auto_contrast": AutoContrast,
    "sharpness": Sharpness,
    "vignette": Vignette,
    "uneven_illumination": UnevenIllumination,
    "shadow": Shadow,
    "gaussian_noise": GaussianNoise,
    "shot_noise": ShotNoise,
    "impulse_noise": ImpulseNoise,
    "speckle_noise": SpeckleNoise,
    "iso_noise": ISONoise,
    "quantization": Quantization,
    "gaussian_blur": GaussianBlur,
    "motion_blur": MotionBlur,
    "defocus_blur": DefocusBlur,
    "zoom_blur": ZoomBlur,
    "glass_blur": GlassBlur,
    "pixelate": Pixelate,
    "jpeg": JPEG,
    "occlusion": Occlusion,
    "erasing": Erasing,
    "grid_mask": GridMask,
    "background": BackgroundRandomization,
    "texture": TextureRandomization,
    "fog": Fog,
    "rain": Rain,
    "snow": Snow,
    "frost": Frost,
    "spatter": Spatter,
    "sun_flare": SunFlare,
    "gabor_noise": GaborNoise,
    "snowflakes": Snowflakes,
    "pixel_blocks": PixelBlocks,
    "dct_noise": DCTNoise,
    "kaleidoscope": Kaleidoscope,
    "glitch": Glitch,
    "wood": Wood,
    "flow_field": FlowField,
    "recolor": ReColor,
    "diffeomorphism": Diffeomorphism,
    "color_curve": ColorCurve,
    "random_filter": RandomFilter,
}
"""Name -> class; each can be called without arguments."""


def ranges_in_pairs(transform: type[Transform]) -> Callable[..., None]:
    """The constructor of a transform, which says so where two numbers stand for the pair that a range is.

    They are an error's likely reason, and where they mean something else there is a warning: ``Translation(-0.1, 0.1)``
    is one shift, the same for all images. By name, ``Translation(x=-0.1, y=0.1)``, they are taken as they are.
    """
    construct: Callable[..., None] = suggesting_names(transform.__init__)
    names, ranged = argument_names(transform.__init__), isinstance(fields(transform)[0].default, Distribution)  # type: ignore[arg-type]

    @wraps(construct)
    def checked(self: Transform, *args: Any, **kwargs: Any) -> None:
        numbers = all(isinstance(value, Real) and not isinstance(value, bool) for value in args[:2])
        if not (ranged and numbers and len(args) >= 2):
            construct(self, *args, **kwargs)
            return
        advice = f"a range is one pair: {transform.__name__}(({min(args[:2])}, {max(args[:2])}))"
        try:
            construct(self, *args, **kwargs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{error}; {advice}") from None
        if len(args) == 2 and args[0] < args[1]:
            meant = f"{names[0]}={args[0]}, {names[1]}={args[1]}"
            warnings.warn(f"{transform.__name__}{args} means {meant}; {advice}", RuntimeWarning, stacklevel=2)

    return checked


for _transform in TRANSFORMS.values():  # dataclasses write their constructors themselves: only now can they be taught
    _transform.__init__ = ranges_in_pairs(_transform)  # type: ignore[method-assign]

"""The table of all transforms; the contract tests run over it."""

from __future__ import annotations

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.randomization.core.transform import Transform
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
from art_domainrand.randomization.transforms.geometry import Crop, Flip, Rotation, Scale, Shear, Translation
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
from art_domainrand.randomization.transforms.patches import GridShuffle
from art_domainrand.randomization.transforms.perspective import Perspective
from art_domainrand.randomization.transforms.sensor import ImpulseNoise, ISONoise, Quantization, ShotNoise, SpeckleNoise
from art_domainrand.randomization.transforms.tone import AutoContrast, Equalize, Posterize, Sharpness, Solarize
from art_domainrand.randomization.transforms.weather import Fog, Frost, Rain, Snow, Spatter

TRANSFORMS: dict[str, type[Transform]] = {
    "rotation": Rotation,
    "scale": Scale,
    "shear": Shear,
    "translation": Translation,
    "crop": Crop,
    "flip": Flip,
    "perspective": Perspective,
    "elastic": Elastic,
    "thin_plate": ThinPlate,
    "lens_distortion": LensDistortion,
    "rolling_shutter": RollingShutter,
    "grid_shuffle": GridShuffle,
    "brightness": Brightness,
    "contrast": Contrast,
    "saturation": Saturation,
    "grayscale": Grayscale,
    "invert": Invert,
    "hue": Hue,
    "hsv_hue": HSVHue,
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
}
"""Name -> class; each can be called without arguments."""

for _transform in TRANSFORMS.values():  # dataclasses write their constructors themselves: only now can they be taught
    _transform.__init__ = suggesting_names(_transform.__init__)  # type: ignore[method-assign]

"""Random, differentiable, replayable changes of images: torch and Kornia only, nothing of ART.

``Pipeline`` puts transforms together; ``pipeline.sample`` draws, ``pipeline.apply`` is a pure function.
"""

from .blur import GaussianBlur
from .catalogue import TRANSFORMS
from .channel_order import ChannelDropout, ChannelShuffle, RGBShift
from .channels import OnChannels
from .color import Brightness, Contrast, Gamma, Grayscale, HSVHue, Hue, Invert, Saturation, WhiteBalance
from .compression import JPEG, Pixelate
from .corruptions import CORRUPTIONS, CorruptionSuite, corrupt
from .displacement import Elastic, LensDistortion, RollingShutter, ThinPlate
from .distributions import Choice, Constant, Distribution, LogUniform, Normal, TruncatedNormal, Uniform
from .domains import DOMAINS, domain_mapping
from .geometry import Crop, Flip, Perspective, Rotation, Scale, Shear, Translation
from .illumination import Shadow, UnevenIllumination, Vignette
from .kornia_module import KorniaAugmentation
from .labels import Geometry
from .lens_blur import DefocusBlur, GlassBlur, MotionBlur, ZoomBlur
from .mixing import MIXING, CutMix, Mixing, MixUp
from .noise import GaussianNoise
from .occlusion import Occlusion
from .occlusion_patterns import BackgroundRandomization, Erasing, GridMask, TextureRandomization
from .patches import GridShuffle
from .pipeline import OneOf, Pipeline, Sometimes
from .plain import random_transform
from .presets import PRESETS, preset
from .random_corruption import RandomCorruption
from .sensor import ImpulseNoise, ISONoise, Quantization, ShotNoise, SpeckleNoise
from .serialize import (
    from_dict,
    from_json,
    from_yaml,
    load_pipeline,
    save_pipeline,
    to_dict,
    to_json,
    to_yaml,
)
from .tone import AutoContrast, Equalize, Posterize, Sharpness, Solarize
from .transform import ColorTransform, DisplacementTransform, Draw, Frame, GeometricTransform, PixelTransform, Transform
from .weather import Fog, Frost, Rain, Snow, Spatter, SunFlare

__all__ = [
    "CORRUPTIONS",
    "DOMAINS",
    "JPEG",
    "MIXING",
    "PRESETS",
    "TRANSFORMS",
    "AutoContrast",
    "BackgroundRandomization",
    "Brightness",
    "ChannelDropout",
    "ChannelShuffle",
    "Choice",
    "ColorTransform",
    "Constant",
    "Contrast",
    "CorruptionSuite",
    "Crop",
    "CutMix",
    "DefocusBlur",
    "DisplacementTransform",
    "Distribution",
    "Draw",
    "Elastic",
    "Equalize",
    "Erasing",
    "Flip",
    "Fog",
    "Frame",
    "Frost",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "GeometricTransform",
    "Geometry",
    "GlassBlur",
    "Grayscale",
    "GridMask",
    "GridShuffle",
    "HSVHue",
    "Hue",
    "ISONoise",
    "ImpulseNoise",
    "Invert",
    "KorniaAugmentation",
    "LensDistortion",
    "LogUniform",
    "MixUp",
    "Mixing",
    "MotionBlur",
    "Normal",
    "Occlusion",
    "OnChannels",
    "OneOf",
    "Perspective",
    "Pipeline",
    "PixelTransform",
    "Pixelate",
    "Posterize",
    "Quantization",
    "RGBShift",
    "Rain",
    "RandomCorruption",
    "RollingShutter",
    "Rotation",
    "Saturation",
    "Scale",
    "Shadow",
    "Sharpness",
    "Shear",
    "ShotNoise",
    "Snow",
    "Solarize",
    "Sometimes",
    "Spatter",
    "SpeckleNoise",
    "SunFlare",
    "TextureRandomization",
    "ThinPlate",
    "Transform",
    "Translation",
    "TruncatedNormal",
    "UnevenIllumination",
    "Uniform",
    "Vignette",
    "WhiteBalance",
    "ZoomBlur",
    "corrupt",
    "domain_mapping",
    "from_dict",
    "from_json",
    "from_yaml",
    "load_pipeline",
    "preset",
    "random_transform",
    "save_pipeline",
    "to_dict",
    "to_json",
    "to_yaml",
]

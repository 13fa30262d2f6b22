"""Random, differentiable, replayable changes of images: torch and Kornia only, nothing of ART.

``Pipeline`` puts transforms together; ``pipeline.sample`` draws, ``pipeline.apply`` is a pure function.
"""

from art_domainrand.randomization.core.beta import Beta
from art_domainrand.randomization.core.clipped import Clipped
from art_domainrand.randomization.core.composites import OneOf, Sometimes
from art_domainrand.randomization.core.distributions import (
    Choice,
    Constant,
    Distribution,
    LogUniform,
    Normal,
    TruncatedNormal,
    Uniform,
)
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.kornia_module import KorniaAugmentation
from art_domainrand.randomization.core.mixed_chains import MixedChains
from art_domainrand.randomization.core.moving import DisplacementTransform, GeometricTransform
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.random_depth import RandomDepth
from art_domainrand.randomization.core.random_order import RandomOrder
from art_domainrand.randomization.core.transform import ColorTransform, PixelTransform, Transform
from art_domainrand.randomization.corruptions import CORRUPTIONS, CorruptionSuite, corrupt
from art_domainrand.randomization.domains import DOMAINS, domain_mapping
from art_domainrand.randomization.kornia_member import KorniaMember
from art_domainrand.randomization.labels.geometry import Geometry
from art_domainrand.randomization.labels.mixing import MIXING, CutMix, Mixing, MixUp
from art_domainrand.randomization.learned import LearnableRanges, MetaGradient, group_weights, meta_gradient
from art_domainrand.randomization.modalities import DepthModality, ImageModality, MaskModality, MultiModal
from art_domainrand.randomization.numerics.positions import Frame
from art_domainrand.randomization.plain import random_transform
from art_domainrand.randomization.policies.adversarial import idbh
from art_domainrand.randomization.policies.chains import augmix, prime
from art_domainrand.randomization.policies.single import rand_augment, trivial_augment
from art_domainrand.randomization.presets import PRESETS, imagenet_ua, preset
from art_domainrand.randomization.prime.color_curve import ColorCurve
from art_domainrand.randomization.prime.diffeomorphism import Diffeomorphism
from art_domainrand.randomization.prime.random_filter import RandomFilter
from art_domainrand.randomization.serialize import (
    from_dict,
    from_json,
    from_yaml,
    load_pipeline,
    save_pipeline,
    to_dict,
    to_json,
    to_yaml,
)
from art_domainrand.randomization.transforms.blur import GaussianBlur
from art_domainrand.randomization.transforms.channel_order import ChannelDropout, ChannelShuffle, RGBShift
from art_domainrand.randomization.transforms.channels import OnChannels
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
from art_domainrand.randomization.transforms.random_corruption import RandomCorruption
from art_domainrand.randomization.transforms.sensor import ImpulseNoise, ISONoise, Quantization, ShotNoise, SpeckleNoise
from art_domainrand.randomization.transforms.table import TRANSFORMS
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

__all__ = [
    "CORRUPTIONS",
    "DOMAINS",
    "JPEG",
    "MIXING",
    "PRESETS",
    "TRANSFORMS",
    "AutoContrast",
    "BackgroundRandomization",
    "Beta",
    "Brightness",
    "ChannelDropout",
    "ChannelShuffle",
    "Choice",
    "Clipped",
    "ColorCurve",
    "ColorTransform",
    "Constant",
    "Contrast",
    "CorruptionSuite",
    "Crop",
    "CropShift",
    "CutMix",
    "DCTNoise",
    "DefocusBlur",
    "DepthModality",
    "Diffeomorphism",
    "DisplacementTransform",
    "Distribution",
    "Draw",
    "Elastic",
    "Equalize",
    "Erasing",
    "Flip",
    "FlowField",
    "Fog",
    "Frame",
    "Frost",
    "GaborNoise",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "GeometricTransform",
    "Geometry",
    "GlassBlur",
    "Glitch",
    "Grayscale",
    "GridMask",
    "GridShuffle",
    "HSVHue",
    "HSVSaturation",
    "Hue",
    "ISONoise",
    "ImageModality",
    "ImpulseNoise",
    "Invert",
    "Kaleidoscope",
    "KorniaAugmentation",
    "KorniaMember",
    "LearnableRanges",
    "LensDistortion",
    "LogUniform",
    "MaskModality",
    "MetaGradient",
    "MixUp",
    "MixedChains",
    "Mixing",
    "MotionBlur",
    "MultiModal",
    "Normal",
    "Occlusion",
    "OnChannels",
    "OneOf",
    "Perspective",
    "Pipeline",
    "PixelBlocks",
    "PixelShift",
    "PixelTransform",
    "Pixelate",
    "Posterize",
    "Quantization",
    "RGBShift",
    "Rain",
    "RandomCorruption",
    "RandomDepth",
    "RandomFilter",
    "RandomOrder",
    "ReColor",
    "RollingShutter",
    "Rotation",
    "Saturation",
    "Scale",
    "Shadow",
    "Sharpness",
    "Shear",
    "ShotNoise",
    "Snow",
    "Snowflakes",
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
    "Wood",
    "ZoomBlur",
    "augmix",
    "corrupt",
    "domain_mapping",
    "from_dict",
    "from_json",
    "from_yaml",
    "group_weights",
    "idbh",
    "imagenet_ua",
    "load_pipeline",
    "meta_gradient",
    "preset",
    "prime",
    "rand_augment",
    "random_transform",
    "save_pipeline",
    "to_dict",
    "to_json",
    "to_yaml",
    "trivial_augment",
]

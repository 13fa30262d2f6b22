"""Random, differentiable, replayable changes of images: torch and Kornia only, nothing of ART.

``Pipeline`` puts transforms together; ``pipeline.sample`` draws, ``pipeline.apply`` is a pure function.
"""

from .blur import GaussianBlur
from .catalogue import TRANSFORMS
from .channels import OnChannels
from .color import Brightness, Contrast, Gamma, Grayscale, HSVHue, Hue, Invert, Saturation, WhiteBalance
from .distributions import Choice, Constant, Distribution, LogUniform, Normal, TruncatedNormal, Uniform
from .domains import DOMAINS, domain_mapping
from .geometry import Crop, Flip, Perspective, Rotation, Scale, Shear, Translation
from .kornia_module import KorniaAugmentation
from .noise import GaussianNoise
from .occlusion import Occlusion
from .pipeline import OneOf, Pipeline, Sometimes
from .plain import random_transform
from .transform import ColorTransform, Draw, Frame, GeometricTransform, PixelTransform, Transform

__all__ = [
    "DOMAINS",
    "TRANSFORMS",
    "Brightness",
    "Choice",
    "ColorTransform",
    "Constant",
    "Contrast",
    "Crop",
    "Distribution",
    "Draw",
    "Flip",
    "Frame",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "GeometricTransform",
    "Grayscale",
    "HSVHue",
    "Hue",
    "Invert",
    "KorniaAugmentation",
    "LogUniform",
    "Normal",
    "Occlusion",
    "OnChannels",
    "OneOf",
    "Perspective",
    "Pipeline",
    "PixelTransform",
    "Rotation",
    "Saturation",
    "Scale",
    "Shear",
    "Sometimes",
    "Transform",
    "Translation",
    "TruncatedNormal",
    "Uniform",
    "WhiteBalance",
    "domain_mapping",
    "random_transform",
]

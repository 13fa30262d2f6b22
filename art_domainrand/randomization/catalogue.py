"""The table of all transforms; the contract tests run over it."""

from __future__ import annotations

from .blur import GaussianBlur
from .color import Brightness, Contrast, Gamma, Grayscale, HSVHue, Hue, Invert, Saturation, WhiteBalance
from .geometry import Crop, Flip, Perspective, Rotation, Scale, Shear, Translation
from .noise import GaussianNoise
from .occlusion import Occlusion
from .transform import Transform

TRANSFORMS: dict[str, type[Transform]] = {
    "rotation": Rotation,
    "scale": Scale,
    "shear": Shear,
    "translation": Translation,
    "crop": Crop,
    "flip": Flip,
    "perspective": Perspective,
    "brightness": Brightness,
    "contrast": Contrast,
    "saturation": Saturation,
    "grayscale": Grayscale,
    "invert": Invert,
    "hue": Hue,
    "hsv_hue": HSVHue,
    "white_balance": WhiteBalance,
    "gamma": Gamma,
    "gaussian_noise": GaussianNoise,
    "gaussian_blur": GaussianBlur,
    "occlusion": Occlusion,
}
"""Name -> class; each can be called without arguments."""

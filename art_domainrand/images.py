"""The one reader of image files: upright, with every kind of pixel in [0, 1]."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from art_domainrand.core.files import check_file

GREY_MODES = ("1", "L", "LA", "La")
"""Pillow's modes of 8 bits or less without colour. Deep ones are those that start with "I", and "F"."""

WHITE = 65535
"""The white of deep integers: images of 16 bits are the only ones that Pillow reads into the modes "I..."."""

OVERSHOOT = 1e-5
"""By how much floating pixels may lie outside [0, 1]."""


def open_image(source: bytes | str | Path) -> Image.Image:
    """Decode an image file, or its bytes, with all pixels loaded; of an animation the first frame.

    :param source: the file, or what is in it.
    :raises UnidentifiedImageError: for what is no image: no reader takes it, or the one that does cannot decode it.
    :raises ValueError: for a broken image, and for a pipe or a device.
    :raises OSError: where the system cannot read the file.
    """
    if not isinstance(source, bytes) and not Path(source).is_dir():  # a pipe would be waited for
        check_file("image", source)
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            if isinstance(image, ImageFile.StubImageFile):
                raise UnidentifiedImageError(f"no reader for the pixels of a {image.format} file")
            image.load()
            return image
    except UnidentifiedImageError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def upright_image(image: Image.Image) -> Image.Image:
    """Turn an image upright, as its EXIF tag says, and bring it into one of three modes.

    :param image: any PIL image.
    :return: mode "L" for what has no colour and 8 bits or fewer; "F", with pixels in [0, 1], for 16 bits (65535 is
        white) and for floating pixels, which must lie in [0, 1] already; "RGB" for all others, palettes, CMYK and
        transparency (which is dropped) among them.
    :raises ValueError: for integers and floating pixels outside these ranges.
    """
    image = _upright(image)
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_deep(image))
    if image.mode in GREY_MODES:
        return image if image.mode == "L" else image.convert("LA").convert("L")
    if image.mode == "RGBa":  # premultiplied: Pillow knows no direct way
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def image_pixels(image: Image.Image) -> NDArray[np.float32]:
    """The pixels of an image as numbers in [0, 1].

    :param image: what :func:`upright_image` returned, perhaps resized.
    :return: (C, H, W); C is 1 for the modes "L" and "F", 3 for "RGB".
    """
    values = np.asarray(image, dtype=np.float32)
    if image.mode == "F":  # a filter with negative lobes leaves the range
        return values.clip(0, 1)[None]
    values = values / np.float32(255)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow raises whatever a broken EXIF block makes it; what is not said is not done
        return image


def _deep(image: Image.Image) -> NDArray[np.float32]:
    found = np.asarray(image)
    if image.mode == "F":
        if not (found.min() >= -OVERSHOOT and found.max() <= 1 + OVERSHOOT):  # false for NaN, too
            raise ValueError(f"floating pixels must lie within [0, 1], got {found.min():g} to {found.max():g}")
        return found.astype(np.float32).clip(0, 1)
    if not 0 <= found.min() <= found.max() <= WHITE:
        raise ValueError(f"pixels of mode {image.mode} must be in [0, {WHITE}], got {found.min()} to {found.max()}")
    if image.mode == "I" and 0 < found.max() <= 255:
        warnings.warn(
            f"pixels of mode I are read as 16 bits, of which {WHITE} is white, and the largest is {found.max()}; "
            'convert images of 8 bits to mode "L"',
            stacklevel=4,
        )
    return found.astype(np.float32) / np.float32(WHITE)

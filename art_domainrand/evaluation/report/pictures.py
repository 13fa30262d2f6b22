"""Images as PNG inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

LARGEST_SIDE = 128
"""Larger images are made smaller, so that a page of many of them can be sent."""

SMALLEST_SIDE = 64
"""Smaller images are shown with square pixels."""

TIMES = 10
"""By how much differences are amplified."""


@dataclass(frozen=True)
class Picture:
    """An image in a page.

    :param source: it, as a ``data:`` address.
    :param alternative: what is to be seen.
    :param width: in pixels.
    :param height: in pixels.
    """

    source: Markup
    alternative: str
    width: int
    height: int

    @property
    def tiny(self) -> bool:
        """Whether it is shown larger than it is, with square pixels."""
        return max(self.width, self.height) <= SMALLEST_SIDE


def png_picture(image: NDArray[np.float32], alternative: str) -> Picture:
    """An image as PNG.

    :param image: (C, H, W) in [0, 1]; of other than one or three channels the mean is shown. NaN is black.
    :param alternative: what is to be seen.
    """
    shown = np.nan_to_num(np.asarray(image, dtype=np.float64))
    shown = shown if shown.shape[0] in (1, 3) else shown.mean(axis=0, keepdims=True)
    levels = np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    png = Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0))
    png.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    png.save(stream, "PNG", optimize=True)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(Markup(f"data:image/png;base64,{text}"), alternative, png.width, png.height)


def difference(clean: NDArray[np.float32], changed: NDArray[np.float32]) -> NDArray[np.float32]:
    """The change of an image around grey, amplified :data:`TIMES` times, (C, H, W) in [0, 1].

    :param clean: the image as it was, (C, H, W) in [0, 1].
    :param changed: as it is now, of the same shape.
    """
    shown: NDArray[np.float32] = np.clip(0.5 + TIMES * (changed.astype(np.float32) - clean), 0, 1)
    return shown

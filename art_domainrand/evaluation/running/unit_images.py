"""Images of any estimator as (n, C, H, W) in [0, 1], which is where pipelines and corruptions work, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.arrays import Array, from_array
from art_domainrand.core.checks import Text, require
from art_domainrand.core.pixels import ClipRange


def to_unit_images(estimator: Any, x: Array) -> Tensor:
    """Images (n, ...) of the estimator's range and layout as (n, C, H, W) in [0, 1].

    :param estimator: says by ``clip_values`` and ``channels_first`` what its images are; without ``clip_values`` they
        must be in [0, 1] already.
    :param x: the images.
    :raises ValueError: for other images, and for pixels outside the range by more than rounding.
    """
    require(x.ndim == 4, "x", "be images (n, C, H, W), or (n, H, W, C) with channels last", Text(f"shape {x.shape}"))
    images = from_array(np.asarray(x, dtype=np.float32))
    clip_values = getattr(estimator, "clip_values", None)
    limits = ClipRange((0.0, 1.0) if clip_values is None else clip_values)
    try:
        limits.check(images)
    except ValueError as error:
        advice = "; the estimator has no clip_values, which would say what range of pixels it works on"
        raise ValueError(f"{error}{advice if clip_values is None else ''}") from None
    unit = limits.to_unit(images).clamp(0, 1)
    return unit if channels_lead(estimator) else unit.movedim(-1, 1)


def from_unit_images(estimator: Any, unit: Tensor) -> Array:
    """Images (n, C, H, W) in [0, 1] in the estimator's own range and layout.

    :param estimator: as in :func:`to_unit_images`.
    :param unit: the images.
    """
    clip_values = getattr(estimator, "clip_values", None)
    limits = ClipRange((0.0, 1.0) if clip_values is None else clip_values)
    images = limits.from_unit(unit if channels_lead(estimator) else unit.movedim(1, -1))
    found: Array = np.ascontiguousarray(images.numpy())
    return found


def unit_picture(estimator: Any, image: Array) -> Array:
    """One image to be looked at, (C, H, W) in [0, 1]; without ``clip_values`` its own darkest and lightest are 0 and 1.

    :param estimator: as in :func:`to_unit_images`.
    :param image: the image, in the estimator's form.
    """
    pixels = torch.from_numpy(np.array(image[None], dtype=np.float32))
    clip_values = getattr(estimator, "clip_values", None)
    if clip_values is None:
        low, high = min(float(pixels.min()), 0.0), max(float(pixels.max()), 1.0)
        clip_values = (low, high)
    unit = ClipRange(clip_values).to_unit(pixels).clamp(0, 1)
    found: Array = (unit if channels_lead(estimator) or unit.ndim != 4 else unit.movedim(-1, 1))[0].numpy()
    return found


def channels_lead(estimator: Any) -> bool:
    """Whether images are (C, H, W); so they are where the estimator does not say."""
    return bool(getattr(estimator, "channels_first", True))

"""Masks as labels, which follow the images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.arrays import from_array
from art_domainrand.core.checks import Text, require
from art_domainrand.randomization.labels.geometry import Geometry
from art_domainrand.randomization.modalities.kinds import MaskModality


def moved_masks(y: Any, geometry: Geometry, masks: MaskModality) -> Any:
    """Move labels ``y`` (B, H, W) or (B, N, H, W), an array or a tensor, which they stay, as ``masks`` says.

    :raises ValueError: for anything else, and masks that are not of the size of the images.
    """
    arrays = isinstance(y, (Tensor, np.ndarray)) and y.dtype != object and y.ndim in (3, 4)
    got = f"shape {tuple(y.shape)}" if isinstance(y, (Tensor, np.ndarray)) else type(y).__name__
    require(arrays, "y", "be masks (B, H, W) or (B, N, H, W), as masks was given", Text(got))
    size = tuple(geometry.size or ())
    require(tuple(y.shape[-2:]) == size, "y", f"be masks of the size {size} of the images", Text(got))
    moved = geometry.masks(y if isinstance(y, Tensor) else from_array(y), masks.mode, fill=masks.fill)
    return moved if isinstance(y, Tensor) else np.asarray(torch.as_tensor(moved).cpu().numpy())

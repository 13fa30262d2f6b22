"""Masks as labels, which follow the images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.arrays import from_array
from art_domainrand.core.checks import Text, require


class ReadsMasks(Protocol):
    """What a :class:`~art_domainrand.randomization.MaskModality` says; its file is above this one."""

    @property
    def mode(self) -> Literal["nearest", "bilinear"]:
        """How a mask is read between its pixels."""

    @property
    def fill(self) -> float | None:
        """What lies beyond the image."""

    @property
    def takes_integers(self) -> bool:
        """Whether labels of any dtype are taken: they are masks."""


def moved_masks(y: Any, size: tuple[int, ...], move: Callable[..., Tensor], masks: ReadsMasks) -> Any:
    """Move labels ``y`` (B, H, W) or (B, N, H, W), an array or a tensor, which they stay, as ``masks`` says.

    :param size: (H, W) of the images.
    :param move: the way that the images go, :meth:`Geometry.masks`.
    :param masks: how they are read.

    :raises ValueError: for anything else, and masks that are not of the size of the images.
    """
    arrays = isinstance(y, (Tensor, np.ndarray)) and y.dtype != object and y.ndim in (3, 4)
    got = f"shape {tuple(y.shape)}" if isinstance(y, (Tensor, np.ndarray)) else type(y).__name__
    require(arrays, "y", "be masks (B, H, W) or (B, N, H, W), as masks was given", Text(got))
    require(tuple(y.shape[-2:]) == size, "y", f"be masks of the size {size} of the images", Text(got))
    moved = move(y if isinstance(y, Tensor) else from_array(y), masks.mode, fill=masks.fill)
    return moved if isinstance(y, Tensor) else np.asarray(torch.as_tensor(moved).cpu().numpy())

"""Images and labels on their way to a NumPy defence and back: batches, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.arrays import Array


def host_array(x: Tensor) -> Array:
    """A tensor as an array, half precision as float32: NumPy has no bfloat16, and SciPy filters no float16."""
    detached = x.detach().cpu()
    array: Array = (detached.float() if x.dtype in (torch.float16, torch.bfloat16) else detached).numpy()
    return array


def images_in_dtype(images: Array, dtype: np.dtype[Any]) -> Array:
    """Images in a dtype; where that holds integers, rounded and kept within it."""
    if images.dtype == dtype:
        return images
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        images = np.rint(images).clip(limits.min, limits.max)
    return images.astype(dtype)


def labels_in_dtype(labels: Any, given: Any, images: np.dtype[Any]) -> Any:
    """Floating labels in the dtype of the ``given`` ones, or of the ``images`` where indices became distributions.

    NumPy widens float32 labels to float64 as it does images, and a float32 model cannot be trained on them.
    """
    if not (isinstance(labels, np.ndarray) and isinstance(given, np.ndarray)) or labels.dtype.kind != "f":
        return labels
    wanted = next((dtype for dtype in (given.dtype, images) if dtype.kind == "f"), labels.dtype)
    return labels.astype(wanted, copy=False)


def label_rows(y: Any, rows: slice) -> Any:
    """Some rows of labels, copied: a defence may write into what it is given.

    :raises ValueError: for labels of another kind than None, arrays and lists.
    """
    if y is None:
        return None
    if isinstance(y, np.ndarray):
        return y[rows].copy()
    if isinstance(y, (list, tuple)):
        return y[rows]
    raise ValueError(f"y must be None, an array, a tensor or a list, got {type(y).__name__}")


def join_labels(labels: list[Any]) -> Any:
    """The labels of all batches as those of one."""
    if len(labels) == 1 or labels[0] is None:
        return labels[0]
    if isinstance(labels[0], np.ndarray):
        return np.concatenate(labels)
    return [label for batch in labels for label in batch]

"""Labels of object detectors, a dictionary for each image: what they come in, and what becomes of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from art_domainrand.core.arrays import from_array

MOVING = ("boxes", "masks", "keypoints")
"""The entries of a detection that follow the image."""

PER_BOX = ("labels", "scores", "masks", "keypoints", "area", "iscrowd")
"""The entries of a detection that have a row for each box."""


def as_detections(name: str, labels: Any) -> list[Mapping[str, Any]] | None:
    """Read a list, tuple or object array with a dictionary for each image as a list; None for labels of another kind.

    :param name: the argument, for the message.
    :param labels: what was given.
    :raises ValueError: for what holds detections and is no such list: they would stay in place while the images move.
    """
    rule = f"{name} must be class labels or a list with a dictionary of detections for each image"
    if isinstance(labels, Mapping):
        if any(key in labels for key in MOVING):
            raise ValueError(f"{rule}, got one dictionary with the entries {list(labels)}")
        return None
    if isinstance(labels, np.ndarray) and labels.dtype == object:
        labels = list(labels.ravel())
    if not isinstance(labels, (list, tuple)):
        return None
    kinds = [isinstance(label, Mapping) for label in labels]
    nested = any(isinstance(label, (list, tuple)) and any(isinstance(p, Mapping) for p in label) for label in labels)
    if nested or len(set(kinds)) > 1:
        raise ValueError(f"{rule}, got {[type(label).__name__ for label in labels]}")
    return list(labels) if kinds and kinds[0] else None


def check_rows(target: Mapping[str, Any]) -> None:
    """Raise ValueError if an entry that belongs to the boxes has not a row for each."""
    for key in PER_BOX:
        if "boxes" in target and key in target and len(target[key]) != len(target["boxes"]):
            raise ValueError(f"{key} must have a row for each of {len(target['boxes'])} boxes, got {len(target[key])}")


def tidied(target: dict[str, Any], drop_empty: bool, min_size: float) -> dict[str, Any]:
    """The target with its areas measured anew, and without its empty boxes."""
    if "boxes" not in target:
        return target
    boxes = target["boxes"]
    size = boxes[:, 2:] - boxes[:, :2]
    if "area" in target:
        masks = target.get("masks")
        target["area"] = size.prod(1) if masks is None else (masks > 0).flatten(1).sum(1).to(boxes.dtype)
    if drop_empty:
        kept = (size >= min_size).all(1)
        rows = {key: to_tensor(target[key]) for key in PER_BOX if key in target}
        target |= {"boxes": boxes[kept]} | {key: value[kept.to(value.device)] for key, value in rows.items()}
    return target


def to_tensor(value: Any) -> Tensor:
    """A tensor as it is, anything else by way of an array."""
    return value if isinstance(value, Tensor) else from_array(np.asarray(value))


def in_form_of(original: Mapping[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """The entries of ``target`` that were NumPy arrays as such again."""
    return {
        key: value.cpu().numpy() if isinstance(value, Tensor) and isinstance(original[key], np.ndarray) else value
        for key, value in target.items()
    }


def in_list_of(original: Any, targets: Sequence[dict[str, Any]]) -> Any:
    """The ``targets`` as an object array of the shape of ``original`` if that is one, else as a list."""
    if not isinstance(original, np.ndarray):
        return list(targets)
    array = np.empty(len(targets), dtype=object)
    array[:] = targets
    return array.reshape(original.shape)

"""From what a user has to a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.sources.arrays import ArrayImages
from art_domainrand.evaluation.sources.base import LabelledSource
from art_domainrand.evaluation.sources.datasets import DatasetImages, from_loader


def open_data(data: Any) -> LabelledSource:
    """Labelled images from whatever a user has.

    :param data: a pair (x, y) of arrays or tensors, x in the estimators' range or of 8 bits; :class:`LabelledImages`; a
        map-style ``Dataset`` of pairs, or a DataLoader of one; or a name.
    :raises ValueError, TypeError: for anything else, naming what to write.
    """
    if isinstance(data, LabelledSource):
        return data
    if isinstance(data, str):
        return named_data(data)
    if isinstance(data, (np.ndarray, Tensor)):
        rule = "come with labels: write (x, y)"
        require(False, "data", rule, Text(f"one array of shape {tuple(data.shape)}"), TypeError)
    if isinstance(data, DataLoader):
        return from_loader(data)
    if isinstance(data, (tuple, list)):
        require(len(data) == 2, "data", "be a pair (x, y)", Text(f"{len(data)} entries"))
        return ArrayImages(*data)
    if all(hasattr(data, name) for name in ("x", "y", "classes")):  # LabelledImages
        return ArrayImages(data.x, data.y, classes=data.classes, unit=True)
    return DatasetImages(data)


def named_data(name: str) -> LabelledSource:
    """The data that a name stands for."""
    kind, _, place = name.partition(":")
    known = kind in NAMED
    require(known, "data", f"be one of {list(NAMED)}", Text(f"{name!r}{nearest(kind, list(NAMED))}"))
    return NAMED[kind](place)


def held_out_digits(place: str) -> LabelledSource:
    """The test images of :func:`art_domainrand.data.digits`; ``place`` is a side in pixels, 28 where it is empty."""
    from art_domainrand.data import digits  # torchvision takes a second to import

    require(place == "" or place.isdecimal(), "data", "be digits or digits:SIZE", f"digits:{place}")
    images = digits(int(place or 28))[1]
    return ArrayImages(images.x, images.y, name="digits", classes=images.classes, unit=True)


NAMED: dict[str, Callable[[str], LabelledSource]] = {"digits": held_out_digits}
"""What names stand for, from what follows their colon."""

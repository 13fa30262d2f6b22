"""From what a user has to a source."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from art_domainrand.core.arguments import nearest, suggesting_names
from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.sources.arrays import ArrayImages
from art_domainrand.evaluation.sources.base import LabelledSource
from art_domainrand.evaluation.sources.datasets import DatasetImages, from_loader
from art_domainrand.evaluation.sources.known import NAMED_DATA, forms


@suggesting_names
def open_data(data: Any, *, shape: tuple[int, ...] | None = None, download: bool = False) -> LabelledSource:
    """Labelled images from whatever a user has, read a block at a time.

    - a pair (x, y) of arrays or tensors: x in the estimators' range, or of 8 bits; y class indices or rows;
    - :class:`~art_domainrand.data.LabelledImages`;
    - a map-style ``torch.utils.data.Dataset`` of pairs (image, label), or a DataLoader of one;
    - "digits", "cifar10", "mnist", "fashion_mnist": test images, the latter three from the folder "data", or from that
      after a colon;
    - "imagefolder:DIR", "npz:FILE" with arrays x and y, "cifar10c:DIR" with CIFAR-10-C as its authors publish it.

    :param data: one of these.
    :param shape: (C, H, W) of what the models take, to which the images of a folder are brought; None takes that of
        the first image.
    :param download: whether torchvision may download what is missing.
    :raises ValueError, TypeError: for anything else, naming what to write.
    """
    if isinstance(data, LabelledSource):
        return data
    if isinstance(data, str):
        kind, _, place = data.partition(":")
        got = Text(f"{data!r}{nearest(kind, list(NAMED_DATA))}")
        require(kind in NAMED_DATA, "data", f"be one of {forms()}", got)
        return NAMED_DATA[kind](place, download, shape)
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

"""Data sets whose samples are read one by one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    default_collate,
)

from art_domainrand.core.checks import Text, require
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.random import READ, seed_of
from art_domainrand.evaluation.sources.base import (
    LabelledSource,
    ReadSamples,
    as_pixels,
    bytes_of,
    digest_of,
    label_indices,
)
from art_domainrand.images import image_pixels, upright_image

PROBED = 16
"""How many samples tell a data set from another."""

IMAGE_KEYS, LABEL_KEYS = ("image", "img", "x"), ("label", "labels", "fine_label", "y")
"""How data sets that yield mappings call the two, in the order that we look for them."""


class DatasetImages(LabelledSource):
    """A map-style data set of pairs (image, label); images are tensors, arrays or PIL images.

    What a data set does at random is done by generators that are seeded for each sample, and so the same every time.

    :param dataset: the data set.
    :param loader: the DataLoader that it comes from, whose function puts samples together.
    :param name: what the data are called.
    :raises ValueError, TypeError: for a data set without a length or samples, and for other samples.
    """

    def __init__(self, dataset: Any, loader: DataLoader[Any] | None = None, name: str = "") -> None:
        sized = isinstance(dataset, Sized) and hasattr(dataset, "__getitem__")
        require(
            sized and not isinstance(dataset, IterableDataset),
            "data",
            "be (x, y), a data set with a length and samples by their place, a DataLoader of one, or a name",
            Text(type(dataset).__name__),
            TypeError,
        )
        require(len(dataset) > 0, "data", "hold at least one image", len(dataset))
        self.dataset, self.name = dataset, name or type(dataset).__name__
        own = loader is not None and loader.collate_fn is not default_collate
        self.collate = loader.collate_fn if loader is not None and own else None
        names = getattr(unwrapped(dataset), "classes", None)
        self.classes = tuple(str(one) for one in names) if isinstance(names, Sequence) and len(names) else None
        image, _ = self._item(0) if self.collate is None else self._collated([0])
        self.unit = isinstance(image, Image.Image) or str(getattr(image, "dtype", "")).endswith("uint8")

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.read(np.zeros(1, np.int64)).x.shape[1:]

    def read(self, samples: NDArray[np.int64]) -> ReadSamples:
        places = [int(place) for place in samples]
        names = tuple(file_name(self.dataset, place) for place in places)
        if self.collate is not None:
            images, labels = self._collated(places)
            return ReadSamples(
                as_pixels(images, "data"), label_indices(labels, len(places), "the labels of data"), names
            )
        pairs = [self._item(place) for place in places]
        pixels = [pixels_of(image) for image, _ in pairs]
        shapes = sorted({one.shape for one in pixels})
        rule = "yield images of one shape (resize them in its transform)"
        require(len(shapes) == 1, "data", rule, Text(f"{shapes[:3]}"))
        labels = np.stack(
            [np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label) for _, label in pairs]
        )
        return ReadSamples(np.stack(pixels), label_indices(labels, len(places), "the labels of data"), names)

    def digest(self) -> str:
        places = np.unique(np.linspace(0, len(self) - 1, PROBED).astype(np.int64))
        part = self.read(places)
        return digest_of([self.name, str(len(self)), *bytes_of(part.x), *bytes_of(part.y), *part.names])

    def _item(self, place: int) -> tuple[Any, Any]:
        try:
            with seeded_global_rng(seed_of(0, READ, place), torch.device("cpu")):
                item = self.dataset[place]
        except Exception as error:  # whatever the user's data set raises
            where = file_name(self.dataset, place)
            raise ValueError(f"data must yield sample {place}{f' ({where})' if where else ''}, got {error}") from error
        return pair_of(item)

    def _collated(self, places: list[int]) -> tuple[Any, Any]:
        assert self.collate is not None
        with seeded_global_rng(seed_of(0, READ, places[0]), torch.device("cpu")):
            return pair_of(self.collate([self.dataset[place] for place in places]))


def from_loader(loader: DataLoader[Any]) -> DatasetImages:
    """The data set of a DataLoader, in its own order; a subset that its sampler takes is kept."""
    dataset, sampler = loader.dataset, loader.sampler
    if isinstance(sampler, SubsetRandomSampler):
        dataset = Subset(dataset, sorted(int(i) for i in sampler.indices))
    elif not isinstance(sampler, SequentialSampler) and not isinstance(dataset, IterableDataset):
        warnings.warn(
            f"data are read in the order of their data set, not in that of the DataLoader's {type(sampler).__name__}",
            UserWarning,
            stacklevel=4,
        )
    return DatasetImages(dataset, loader, type(unwrapped(dataset)).__name__)


def pair_of(item: Any) -> tuple[Any, Any]:
    """What a data set yields as (image, label)."""
    if isinstance(item, Mapping):
        image, label = (next((key for key in keys if key in item), None) for keys in (IMAGE_KEYS, LABEL_KEYS))
        require(image is not None and label is not None, "data", "yield an image and a label", Text(f"{list(item)}"))
        return item[image], item[label]
    pair = isinstance(item, (tuple, list)) and len(item) >= 2
    require(pair, "data", "yield pairs (image, label)", Text(type(item).__name__), TypeError)
    return item[0], item[1]


def pixels_of(image: Any) -> NDArray[np.float32]:
    """An image (C, H, W) in float32: PIL images and 8-bit pixels in [0, 1], all others as they are."""
    if isinstance(image, Image.Image):
        return image_pixels(upright_image(image))
    known = isinstance(image, (np.ndarray, Tensor))
    require(known, "data", "yield images as tensors, arrays or PIL images", Text(type(image).__name__), TypeError)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] in (1, 3):
        image = np.moveaxis(image, -1, 0)  # as Pillow's pixels are laid out
    return as_pixels(image, "data")


def unwrapped(dataset: Any) -> Any:
    """The data set that subsets are taken of."""
    return unwrapped(dataset.dataset) if isinstance(dataset, Subset) else dataset


def file_name(dataset: Any, place: int) -> str:
    """The file of a sample, where a data set lists its files as torchvision's do; else nothing."""
    if isinstance(dataset, Subset):
        return file_name(dataset.dataset, int(dataset.indices[place]))
    listed = getattr(dataset, "samples", None)
    entry = listed[place] if isinstance(listed, list) and len(listed) > place else None
    return str(entry[0]) if isinstance(entry, tuple) and entry and isinstance(entry[0], str) else ""

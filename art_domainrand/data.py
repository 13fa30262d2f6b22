"""Labelled images as arrays: the digits that come with scikit-learn, torchvision data sets, folders of images."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import Subset
from torchvision.datasets import DatasetFolder, ImageFolder
from torchvision.datasets.folder import default_loader

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.random import ORDER, checked_seed, key_of, permutations
from art_domainrand.images import image_pixels, open_image, upright_image

DIGITS_TEST = 397


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images, their classes, and the names of these.

    :param x: images (N, C, H, W), float32, in [0, 1].
    :param y: class indices (N,), int64.
    :param classes: the names of the classes.
    :raises ValueError: for arrays of another shape, and an index that has no name.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.x.ndim != 4:
            raise ValueError(f"x must be (N, C, H, W), got shape {self.x.shape}")
        if self.y.shape != (len(self.x),):
            raise ValueError(f"y must have shape ({len(self.x)},), one label for each image, got {self.y.shape}")
        if len(self.y) and not 0 <= self.y.min() <= self.y.max() < len(self.classes):
            raise ValueError(f"y must be in [0, {len(self.classes)}), got {self.y.min()} to {self.y.max()}")

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | NDArray[Any]) -> LabelledImages:
        """Some of the images, by slice, index array or boolean mask."""
        return LabelledImages(self.x[index], self.y[index], self.classes)


@suggesting_names
def digits(size: int = 28, test: int = DIGITS_TEST, seed: int = 0) -> tuple[LabelledImages, LabelledImages]:
    """Return (train, test): the 1797 handwritten digits of scikit-learn (UCI), enlarged bilinearly from 8x8.

    Needs no network.

    :param size: the side of an image in pixels, >= 1.
    :param test: how many images are held out, stratified by class; from 10 to 1787.
    :param seed: an int that determines the split.
    :raises ValueError: for values outside these bounds.
    """
    if size < 1:
        raise ValueError(f"size must be >= 1, got {size}")
    raw, labels = load_digits(return_X_y=True)
    classes = tuple(str(digit) for digit in range(10))
    if not len(classes) <= test <= len(raw) - len(classes):
        raise ValueError(f"test must be from {len(classes)} to {len(raw) - len(classes)}, got {test}")
    small = torch.from_numpy(raw.astype(np.float32) / 16).reshape(-1, 1, 8, 8)
    x = torch.nn.functional.interpolate(small, size=(size, size), mode="bilinear", align_corners=False).numpy()
    y = labels.astype(np.int64)
    train_rows, test_rows = train_test_split(np.arange(len(y)), test_size=test, stratify=y, random_state=seed)
    return LabelledImages(x[train_rows], y[train_rows], classes), LabelledImages(x[test_rows], y[test_rows], classes)


@suggesting_names
def image_folder(root: str | Path, size: int | None = None, limit: int | None = None, seed: int = 0) -> LabelledImages:
    """Read a folder with one sub-folder of images for each class, in sorted order, as RGB.

    Images are read as :func:`from_torchvision` does: upright, 16 bits and floating pixels in their range.

    :param root: the folder.
    :param size: every image is resized to size x size; without it all must have one size.
    :param limit: how many images are read at most, a random choice; None reads all.
    :param seed: an int that determines the choice.
    :raises ValueError: if ``root`` is no such folder, and, naming the file, if an image is broken.
    """
    path = Path(root).expanduser()
    if not path.is_dir():
        raise ValueError(f"root must be a folder with one sub-folder per class, got {str(path)!r}")
    try:
        dataset = ImageFolder(str(path))
    except FileNotFoundError as error:
        raise ValueError(f"root must hold images in one sub-folder per class, got {str(path)!r}: {error}") from None
    return from_torchvision(dataset, size=size, limit=limit, seed=seed)


def from_torchvision(
    dataset: Any,
    size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
) -> LabelledImages:
    """Read a map-style data set of (PIL image, class index) pairs.

    Images are turned upright, as their EXIF tag says, before they are resized. 65535 is the white of 16-bit images, 1
    that of floating ones. Grey images have one channel, unless there are coloured ones beside them. The files of an
    ``ImageFolder`` are all read as RGB, from the disk: its own loader turns 16 bits into white and forgets the tag.

    :param dataset: the data set, such as one of torchvision's without a ``transform``.
    :param size: every image is resized to size x size; without it all must have one size.
    :param limit: how many images are read at most, a random choice; None reads all.
    :param seed: an int that determines the choice.
    :param classes: the names of the classes, by default ``dataset.classes``.
    :raises ValueError: for a data set that is empty, gives no PIL images or does not name its classes, for values
        outside these bounds, and for images of different shapes without ``size``.
    """
    for name, value in (("size", size), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be None or >= 1, got {value}")
    names = getattr(dataset, "classes", None) if classes is None else classes
    if names is None:
        raise ValueError(f"classes must be given for a data set that does not name them, got None with {dataset!r}")
    rows: Sequence[int] = range(len(dataset))
    if limit is not None and limit < len(rows):
        key = torch.tensor([key_of(checked_seed(seed), ORDER)])
        rows = permutations(key, len(rows))[0, :limit].sort().values.tolist()
    if not rows:
        raise ValueError("dataset must hold at least one image, got none")
    reader = _with_our_loader(dataset)
    pairs = [reader[row] for row in rows]
    arrays = [to_array(image, size) for image, _ in pairs]
    if reader is not dataset or len({len(array) for array in arrays}) > 1:
        arrays = [array if len(array) == 3 else array.repeat(3, axis=0) for array in arrays]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"size must be given for images of different shapes, got None and shapes {sorted(shapes)[:3]}")
    y = np.array([label for _, label in pairs], dtype=np.int64)
    return LabelledImages(np.stack(arrays), y, tuple(str(name) for name in names))


def to_array(image: Image.Image, size: int | None = None) -> NDArray[np.float32]:
    """Turn a PIL image into (C, H, W) float32 in [0, 1]: grey images have one channel, all others become RGB.

    :param image: the image; it is turned upright first, as :func:`art_domainrand.images.upright_image` says.
    :param size: it is resized to size x size then, if that is given.
    :raises ValueError: for what is no PIL image.
    """
    if not isinstance(image, Image.Image):
        raise ValueError(f"dataset must give PIL images, as it does without a transform, got {type(image).__name__}")
    image = upright_image(image)
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return image_pixels(image)


def _with_our_loader(dataset: Any) -> Any:
    """The same data set with its files read by us, if torchvision's own loader would read them; else itself."""
    if isinstance(dataset, DatasetFolder) and dataset.loader is default_loader:
        changed = copy(dataset)
        changed.loader = _load
        return changed
    if isinstance(dataset, Subset):
        inner = _with_our_loader(dataset.dataset)
        return dataset if inner is dataset.dataset else Subset(inner, dataset.indices)
    return dataset


def _load(path: str) -> Image.Image:
    try:
        return upright_image(open_image(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"dataset must hold images that can be read, got {path!r}: {error}") from None

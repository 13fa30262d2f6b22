"""Data sets that have a name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.sources.arrays import ArrayImages
from art_domainrand.evaluation.sources.base import LabelledSource
from art_domainrand.evaluation.sources.datasets import DatasetImages
from art_domainrand.evaluation.sources.files import corrupted_cifar10, npz_images
from art_domainrand.evaluation.sources.folders import FolderImages

TORCHVISION = {"cifar10": "CIFAR10", "mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
"""torchvision's names of the sets whose test images we read."""

DATA_FOLDER = "data"
"""Where they are looked for unless a name says where."""

Opener = Callable[[str, bool, tuple[int, ...] | None], LabelledSource]
"""From what follows the colon of a name, whether to download, and the shape that models take, to the data."""


def held_out_digits(place: str, download: bool, shape: tuple[int, ...] | None) -> LabelledSource:
    """The test images of :func:`art_domainrand.data.digits`; ``place`` is a side in pixels, 28 where it is empty."""
    from art_domainrand.data import digits  # torchvision takes a second to import

    known = place == "" or (place.isdecimal() and 0 < int(place) <= 1024)
    require(known, "data", "be digits or digits:SIZE, of at most 1024 pixels", f"digits:{place}")
    images = digits(int(place or 28))[1]
    return ArrayImages(images.x, images.y, name="digits", classes=images.classes, unit=True)


def from_torchvision_sets(name: str) -> Opener:
    """What opens the test images of one of torchvision's sets."""

    def opened(place: str, download: bool, shape: tuple[int, ...] | None) -> LabelledSource:
        from torchvision import datasets

        root = Path(place or DATA_FOLDER).expanduser()
        try:
            found = getattr(datasets, TORCHVISION[name])(str(root), train=False, download=download)
        except RuntimeError as error:
            advice = f"; download it, or write {name}:DIR" if not download else f": {error}"
            rule = f"hold {TORCHVISION[name]} as torchvision stores it{advice},"
            require(False, "data", rule, str(root))
        return DatasetImages(found, name=name)

    return opened


NAMED_DATA: dict[str, Opener] = {
    "digits": held_out_digits,
    **{name: from_torchvision_sets(name) for name in TORCHVISION},
    "cifar10c": lambda place, download, shape: corrupted_cifar10(place),
    "imagefolder": lambda place, download, shape: FolderImages(place, shape),
    "npz": lambda place, download, shape: npz_images(place),
}
"""What names stand for."""

FORMS = ("digits", *TORCHVISION, "cifar10c:DIR", "imagefolder:DIR", "npz:FILE")
"""How the names are written."""


def forms() -> Text:
    """The names as they are written, for an error."""
    return Text(", ".join(FORMS))

"""Images in folders, one for each class, read from the disk as they are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from art_domainrand.core.checks import Text, require
from art_domainrand.core.files import check_file
from art_domainrand.evaluation.sources.base import LabelledSource, ReadSamples, digest_of
from art_domainrand.evaluation.sources.datasets import PROBED
from art_domainrand.evaluation.sources.files import existing
from art_domainrand.images import image_pixels, open_image, upright_image

MOST_HASHED, MOST_OF_A_FILE = 1 << 28, 1 << 24
"""How many bytes of files are hashed as a whole, 256 MiB, and how many of a file at most."""


class FolderImages(LabelledSource):
    """A folder with a sub-folder of images for each class, of any formats and sizes that Pillow reads.

    Images are turned upright, as their EXIF tag says; 65535 is the white of 16 bits. They are brought to one shape: cut
    to its proportions around their middle and resized (bilinearly), grey ones made colourful or the other way round.

    :param root: the folder.
    :param shape: (C, H, W) of what a model takes; None takes that of the first image.
    :raises ValueError: for a folder without classes or images.
    """

    unit = True

    def __init__(self, root: str | Path, shape: tuple[int, ...] | None = None) -> None:
        from torchvision.datasets import ImageFolder  # it takes a second to import

        path = existing(str(root), "imagefolder:DIR")
        require(path.is_dir(), "data", "be a folder with one sub-folder of images for each class", str(path))
        try:
            listed = ImageFolder(str(path), allow_empty=True)
        except FileNotFoundError as error:
            raise ValueError(f"data must hold one sub-folder of images for each class, got {str(path)!r}") from error
        require(len(listed.samples) > 0, "data", "hold images in its sub-folders", str(path))
        self.root, self.files = path, [(Path(file), int(label)) for file, label in listed.samples]
        self.name, self.classes = f"imagefolder:{path.name}", tuple(listed.classes)
        own = shape if shape is not None else self._pixels(self.files[0][0]).shape
        fits = len(own) == 3 and own[0] in (1, 3)
        require(fits, "data", "be wanted as 1 or 3 channels, height and width", Text(f"{own}"))
        self._shape = tuple(own)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    def read(self, samples: NDArray[np.int64]) -> ReadSamples:
        chosen = [self.files[int(place)] for place in samples]
        x = np.stack([self._pixels(file, self._shape) for file, _ in chosen])
        names = tuple(file.relative_to(self.root).as_posix() for file, _ in chosen)
        return ReadSamples(x, np.array([label for _, label in chosen], dtype=np.int64), names)

    def digest(self) -> str:
        """Of the names, sizes and bytes of all files; of many bytes, those of a few files, or it would take minutes."""
        sizes = [file.stat().st_size for file, _ in self.files]
        names = [file.relative_to(self.root).as_posix() for file, _ in self.files]
        listed = [f"{name} {size}\n" for name, size in zip(names, sizes, strict=True)]
        few = np.unique(np.linspace(0, len(self) - 1, PROBED).astype(np.int64))
        read = range(len(self)) if sum(sizes) <= MOST_HASHED else few.tolist()
        return digest_of([*listed, *(first_bytes(self.files[place][0]) for place in read)])

    def _pixels(self, file: Path, shape: tuple[int, ...] | None = None) -> NDArray[np.float32]:
        try:
            image = upright_image(open_image(file))
        except (OSError, ValueError) as error:
            raise ValueError(f"data must hold images that can be read, got {str(file)!r}: {error}") from None
        if shape is not None and image.size != (shape[2], shape[1]):
            image = ImageOps.fit(image, (shape[2], shape[1]), Image.Resampling.BILINEAR)
        if shape is not None and shape[0] == 1 and image.mode == "RGB":
            image = image.convert("L")
        pixels = image_pixels(image)
        return pixels if shape is None or len(pixels) == shape[0] else np.repeat(pixels, shape[0], axis=0)


def first_bytes(file: Path) -> bytes:
    """What a file begins with; all of it, unless it is too large to be an image."""
    check_file("data", file)
    with file.open("rb") as opened:
        return opened.read(MOST_OF_A_FILE)

"""One image file: read, randomized, written beside its original."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from art_domainrand.core.files import whole_file
from art_domainrand.core.random import AUGMENT, keys_of, name_id
from art_domainrand.images import image_pixels, open_image, upright_image
from art_domainrand.randomization import Pipeline
from art_domainrand.randomization.core.sampling import keyed_draws

OF_THE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
"""Errors of writing that concern one file: a name too long, of characters that the disk does not take, or taken."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to every image; it is sent to the worker processes."""

    source: Path
    out: Path
    pipeline: Pipeline
    copies: int
    seed: int
    grey: bool
    """Whether the pipeline takes images of one channel; if not, grey images become RGB."""


@dataclass(frozen=True)
class Trouble:
    """Why a file has no copies, and whether it is an image at all."""

    reason: str
    is_image: bool = True


def copy_name(relative: Path, copy: int) -> Path:
    """Where the ``copy``-th randomized version of an image stands: cat/1.jpg -> cat/1.jpg.aug1.png."""
    return relative.with_name(f"{relative.name}.aug{copy}.png")


def augment_image(job: Augmentation, relative: Path) -> Trouble | None:
    """Write the copies of one image and then the image itself.

    The original comes last: where it stands, with the bytes of the source, its copies are complete and were made of
    these bytes, and nothing is left to do.

    :param job: what is done to every image.
    :param relative: the image, relative to the source.
    :return: None, or why that could not be done.
    :raises OSError: if nothing can be written.
    """
    path = job.source / relative
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            return Trouble("not a file", is_image=False)
        content = path.read_bytes()
    except OSError as error:
        return Trouble(error.strerror or str(error))
    copies = [job.out / copy_name(relative, copy) for copy in range(1, job.copies + 1)]
    try:
        return _augment(job, relative, content, copies)
    except OSError as error:
        if error.errno not in OF_THE_NAME:
            raise
        _remove(copies)
        return Trouble(error.strerror or str(error))


def _augment(job: Augmentation, relative: Path, content: bytes, copies: list[Path]) -> Trouble | None:
    original = job.out / relative
    if original.is_file() and all(path.is_file() for path in copies) and original.read_bytes() == content:
        return None
    try:
        x, options = read_image(content, grey=job.grey)
    except UnidentifiedImageError:
        return Trouble("not an image", is_image=relative.suffix.lower() in image_suffixes())
    except ValueError as error:
        return Trouble(_one_line(error))
    for copy, path in enumerate(copies, start=1):
        try:
            changed = job.pipeline.apply(x, keyed_draws(job.pipeline, copy_key(job.seed, relative, copy)))
        except ValueError as error:
            _remove(copies)
            return Trouble(_one_line(error))
        with whole_file(path) as temporary:
            to_image(changed[0]).save(temporary, format="PNG", **options)
    with whole_file(original) as temporary:
        temporary.write_bytes(content)
    return None


def _remove(copies: list[Path]) -> None:
    for written in copies:
        with suppress(OSError):  # what could not be written cannot be removed either
            written.unlink(missing_ok=True)


@cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of images that can be read, such as ".png"."""
    stubs = {kind for kind, (opener, _) in Image.OPEN.items() if _is_stub(opener)}
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, kind in known if kind in Image.OPEN and kind not in stubs)


def _is_stub(opener: Any) -> bool:
    """Whether it knows a format, such as HDF5, by name alone."""
    return isinstance(opener, type) and issubclass(opener, ImageFile.StubImageFile)


def copy_key(seed: int, relative: Path, copy: int) -> Tensor:
    """The key (1,) of one copy of one image: it depends on nothing else, so the order of work changes nothing."""
    return keys_of(seed, AUGMENT, torch.tensor([name_id(relative.as_posix())]), copy)


def read_image(content: bytes, *, grey: bool) -> tuple[Tensor, dict[str, Any]]:
    """Decode an image file into (1, C, H, W) in [0, 1], upright, and what its copies are to be saved with.

    Of an animation the first frame is read. A colour profile is handed on to the copies.

    :param content: the bytes of the file.
    :param grey: grey images keep one channel; if not, they become RGB as all others do, without transparency.
    :raises UnidentifiedImageError, OSError: as :func:`art_domainrand.images.open_image` does.
    :raises ValueError: for a broken image, and for pixels of unknown range.
    """
    stored = open_image(content)
    image = upright_image(stored)
    x = torch.from_numpy(image_pixels(image))[None]
    options = {}
    if x.shape[1] == 1 and not grey:
        x = x.repeat(1, 3, 1, 1)
    elif image.mode == stored.mode and "icc_profile" in stored.info:  # it is that of the channels as they are stored
        options["icc_profile"] = stored.info["icc_profile"]
    return x, options


def to_image(x: Tensor) -> Image.Image:
    """Turn (C, H, W), one or three channels, into 8 bits, clipped to [0, 1] and rounded."""
    levels: NDArray[np.uint8] = x.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

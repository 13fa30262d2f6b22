"""One image file: read, randomized, written beside its original."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from art_domainrand.evaluation.files import whole_file
from art_domainrand.randomization import Pipeline

_ORIENTATION = 0x0112
"""The EXIF tag that tells a viewer how to turn the image."""


@dataclass(frozen=True)
class Job:
    """What is done to every image; it is sent to the worker processes."""

    source: Path
    out: Path
    pipeline: Pipeline
    copies: int
    seed: int
    grey: bool
    """Whether the pipeline takes images of one channel; if not, grey images become RGB."""


def copy_name(relative: Path, copy: int) -> Path:
    """Where the ``copy``-th randomized version of an image stands: cat/1.jpg -> cat/1.jpg.aug1.png."""
    return relative.with_name(f"{relative.name}.aug{copy}.png")


def augment_image(job: Job, relative: Path) -> str | None:
    """Write the copies of one image and then the image itself; return None, or why it could not be read or changed.

    The original comes last: where it stands, with the bytes of the source, its copies are complete and were made of
    these bytes, and nothing is left to do. Raises OSError if a file cannot be written.
    """
    copies = [job.out / copy_name(relative, copy) for copy in range(1, job.copies + 1)]
    original = job.out / relative
    try:
        content = (job.source / relative).read_bytes()
    except OSError as error:
        return error.strerror or str(error)
    if original.is_file() and all(path.is_file() for path in copies) and original.read_bytes() == content:
        return None
    try:
        x, options = read_image(content, grey=job.grey)
    except UnidentifiedImageError:
        return "not an image"
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them
        return _one_line(error)
    for copy, path in enumerate(copies, start=1):
        try:
            changed = job.pipeline.apply(x, job.pipeline.sample(1, image_generator(job.seed, relative, copy)))
        except ValueError as error:
            for written in copies:
                written.unlink(missing_ok=True)
            return _one_line(error)
        with whole_file(path) as temporary:
            to_image(changed[0]).save(temporary, format="PNG", **options)
    with whole_file(original) as temporary:
        temporary.write_bytes(content)
    return None


def image_generator(seed: int, relative: Path, copy: int) -> torch.Generator:
    """The generator of one copy of one image: it depends on nothing else, so the order of work changes nothing."""
    name = f"{seed}\n{copy}\n{relative.as_posix()}".encode(errors="surrogateescape")
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name).digest()[:8], "big"))


def read_image(content: bytes, *, grey: bool) -> tuple[Tensor, dict[str, Any]]:
    """Decode an image file into (1, C, H, W) in [0, 1], and what its copies are to be saved with.

    Grey images keep one channel if ``grey`` is set, all others become RGB without transparency; of an animation the
    first frame is read. Pixels stay as they are stored: a tag that tells viewers to turn them, and a colour profile,
    are handed on to the copies. Raises ValueError for pixels of unknown range.
    """
    with Image.open(BytesIO(content)) as image:
        image.load()
        options: dict[str, Any] = {}
        orientation = image.getexif().get(_ORIENTATION)
        if orientation is not None:
            exif = Image.Exif()
            exif[_ORIENTATION] = orientation
            options["exif"] = exif.tobytes()
        if image.mode.startswith("I"):
            pixels = np.asarray(image, dtype=np.float32) / np.float32(65535)
            if not 0 <= pixels.min() <= pixels.max() <= 1:
                raise ValueError(f"pixels of mode {image.mode} must be in [0, 65535]")
        elif image.mode == "F":
            raise ValueError("floating pixels have no known range")
        else:
            mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
            if image.mode == mode and "icc_profile" in image.info:
                options["icc_profile"] = image.info["icc_profile"]
            pixels = np.asarray(image.convert(mode), dtype=np.float32) / np.float32(255)
    x = torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)[None].contiguous()
    if x.shape[1] == 1 and not grey:
        options.pop("icc_profile", None)
        x = x.repeat(1, 3, 1, 1)
    return x, options


def to_image(x: Tensor) -> Image.Image:
    """Turn (C, H, W), one or three channels, into 8 bits, clipped to [0, 1] and rounded."""
    levels: NDArray[np.uint8] = x.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def takes_grey(pipeline: Pipeline) -> bool:
    """Whether ``pipeline`` takes images of one channel."""
    try:
        pipeline.apply(torch.zeros(1, 1, 32, 32), pipeline.sample(1, torch.Generator().manual_seed(0)))
    except ValueError:
        return False
    return True


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""What every source of images has, and the checks that they share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.checks import Text, require

PIXELS_AT_A_TIME = 1 << 24
"""How many numbers are hashed at a time."""


@dataclass(frozen=True, eq=False)
class ReadSamples:
    """Samples that have been read.

    :param x: images (n, C, H, W), float32.
    :param y: class indices (n,), int64.
    :param names: where each comes from, such as the name of its file; empty where there is nothing to say.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    names: tuple[str, ...]


class LabelledSource(ABC):
    """Labelled images that are read in any order, so many at a time.

    - name: what the data are called in the manifest.
    - classes: the names of the classes; None where nobody has named them.
    - unit: whether pixels are in [0, 1] and are to be mapped to the range that an estimator has.
    """

    name: str
    classes: tuple[str, ...] | None
    unit: bool

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of an image."""

    @abstractmethod
    def read(self, samples: NDArray[np.int64]) -> ReadSamples:
        """The samples at some places.

        :param samples: their places in the data, (n,).
        """

    @abstractmethod
    def digest(self) -> str:
        """A hash by which other data are told from these; of what cannot be read twice, of a few samples."""


def label_indices(y: Any, n: int, argument: str = "y") -> NDArray[np.int64]:
    """Labels in any form as indices (n,): indices (n,) or (n, 1), or rows (n, K), of which the largest entry counts.

    :raises ValueError: for labels of another form, and for what is no class.
    """
    values = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    rule = f"hold one class index, or one row, for each of the {n} images"
    require(values.ndim in (1, 2) and len(values) == n, argument, rule, Text(f"shape {values.shape}"))
    require(values.dtype.kind in "biuf", argument, "hold numbers", Text(f"dtype {values.dtype}"), TypeError)
    require(np.isfinite(values).all(), argument, "hold finite numbers", Text("NaN or infinite ones"))
    if values.ndim == 2 and values.shape[1] > 1:
        found: NDArray[np.int64] = values.argmax(1).astype(np.int64)
        return found
    flat = values.reshape(n)
    indices = flat.astype(np.int64)
    wrong = flat[(indices != flat) | (flat < 0)]
    require(not len(wrong), argument, "hold class indices, whole numbers >= 0", wrong[:1].tolist())
    return indices


def as_pixels(values: Any, argument: str = "x") -> NDArray[np.float32]:
    """Pixels as float32: 8-bit ones as shares of 255.

    :raises ValueError: for pixels that are NaN or infinite.
    """
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    require(array.dtype.kind in "biuf", argument, "hold real pixels", Text(f"dtype {array.dtype}"), TypeError)
    pixels: NDArray[np.float32] = np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype == np.uint8:
        pixels = pixels / np.float32(255)
    require(np.isfinite(pixels).all(), argument, "hold finite pixels", Text("NaN or infinite ones"))
    return pixels


def digest_of(parts: Iterable[bytes | memoryview | str]) -> str:
    """The SHA-256 of some parts, in hexadecimal."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode(errors="surrogateescape") if isinstance(part, str) else part)
    return found.hexdigest()


def bytes_of(x: Any) -> Iterable[bytes | str]:
    """Shape, type and values of an array or tensor, piece by piece; a memory map is never read as a whole."""
    yield f"{x.dtype} {tuple(x.shape)}"
    step = max(1, PIXELS_AT_A_TIME // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), step):
        piece = x[start : start + step]
        yield np.ascontiguousarray(piece.detach().cpu() if isinstance(piece, Tensor) else piece).tobytes()


def empty_names(samples: Sequence[int] | NDArray[np.int64]) -> tuple[str, ...]:
    """Nothing to say of some samples."""
    return ("",) * len(samples)

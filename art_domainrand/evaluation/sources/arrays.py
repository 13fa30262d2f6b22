"""Images and labels in arrays, in memory or mapped from a file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.sources.base import (
    LabelledSource,
    ReadSamples,
    as_pixels,
    bytes_of,
    digest_of,
    empty_names,
    label_indices,
)


class ArrayImages(LabelledSource):
    """Arrays or tensors.

    :param x: images (N, ...), N >= 1; 8-bit ones are taken as shares of 255.
    :param y: class indices (N,), or rows (N, K).
    :param name: what the data are called.
    :param classes: the names of the classes.
    :param unit: whether pixels are in [0, 1] rather than in the estimator's range; 8-bit ones always are.
    :param names: where each sample comes from.
    :param channels_last: whether images are (H, W, C), and are to be turned.
    :raises ValueError, TypeError: for what are no images with labels.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        name: str = "arrays",
        classes: Sequence[str] | None = None,
        unit: bool = False,
        names: Sequence[str] | None = None,
        channels_last: bool = False,
    ) -> None:
        kind = Text(type(x).__name__)
        require(isinstance(x, (np.ndarray, Tensor)), "data", "hold an array or tensor of images", kind, TypeError)
        shape = Text(f"shape {tuple(x.shape)}")
        require(x.ndim >= 2 and len(x) > 0, "data", "hold images (N, ...), at least one", shape)
        real = not x.is_complex() if isinstance(x, Tensor) else x.dtype.kind in "biuf"
        require(real, "data", "hold images of numbers", Text(f"dtype {x.dtype}"), TypeError)
        self.x, self.y = x, label_indices(y, len(x), "the labels of data")
        self.name, self.names, self.channels_last = name, names, channels_last
        self.classes = None if classes is None else tuple(str(one) for one in classes)
        eight_bit = str(x.dtype).removeprefix("torch.") == "uint8"
        if eight_bit and not unit:
            warnings.warn(
                "data hold 8-bit images: they are divided by 255 and then mapped to the clip_values of each estimator",
                UserWarning,
                stacklevel=4,
            )
        self.unit = unit or eight_bit

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        shape = tuple(int(size) for size in self.x.shape[1:])
        return (shape[-1], *shape[:-1]) if self.channels_last else shape

    def read(self, samples: NDArray[np.int64]) -> ReadSamples:
        pixels = as_pixels(self.x[samples], "data")
        if self.channels_last:
            pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
        names = empty_names(samples) if self.names is None else tuple(self.names[i] for i in samples)
        return ReadSamples(pixels, self.y[samples], names)

    def digest(self) -> str:
        return digest_of([*bytes_of(self.y), *bytes_of(self.x)])

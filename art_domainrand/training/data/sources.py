"""Labelled samples to train on, from arrays, a torch Dataset or a DataLoader, read in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler

from art_domainrand.core.arrays import from_array
from art_domainrand.core.checks import Text, require
from art_domainrand.randomization.labels.detections import as_detections

BatchLabels: TypeAlias = Tensor | list[Any]
"""The labels of a batch: one row for each image, or a list with a dictionary of detections for each."""

Pair: TypeAlias = tuple[Tensor, BatchLabels]
"""Images (B, ...) and labels of a batch."""

Positions: TypeAlias = Iterable[list[int]]
"""The positions in the data of the samples of each batch of an epoch."""


@dataclass(frozen=True)
class ArraySource:
    """Images (N, C, H, W) or (N, H, W, C), videos with a T before the C or H, or features, and labels, in memory."""

    x: Any
    y: Any
    shuffle: bool
    pinned: bool
    own_order: None = None
    drop_last: bool = False

    def __len__(self) -> int:
        return len(self.x)

    def read(self, batches: Positions, seed: int) -> Iterator[Pair]:
        """Yield each batch as (images, labels) where the data are; nothing here is random: ``seed`` is not used."""
        for rows in batches:
            x, y = _tensor(self.x[rows]), labels_of(self.y, rows)
            yield (x.pin_memory() if self.pinned else x), y


@dataclass(frozen=True)
class DatasetSource:
    """A map-style ``torch.utils.data.Dataset`` of pairs (image, label), and how a DataLoader is to read it.

    ``own_order`` is a sampler that somebody chose, and that is therefore kept; it says how long an epoch is.
    ``drop_last`` is what a DataLoader says of an epoch's last batch.
    """

    dataset: Any
    shuffle: bool
    own_order: Any
    settings: dict[str, Any]
    features: bool = False
    drop_last: bool = False

    def __len__(self) -> int:
        return len(self.dataset if self.own_order is None else self.own_order)

    def read(self, batches: Positions, seed: int) -> Iterator[Pair]:
        """Yield each batch as (images, labels) on the host; ``seed`` is the one the workers take theirs from."""
        generator = torch.Generator().manual_seed(seed)
        for batch in DataLoader(self.dataset, batch_sampler=batches, generator=generator, **self.settings):  # type: ignore[arg-type]
            yield _pair(batch, self.features)


Source: TypeAlias = ArraySource | DatasetSource


def open_source(
    x: Any,
    y: Any,
    *,
    shuffle: bool | None = None,
    num_workers: int | None = None,
    pin_memory: bool | None = None,
    features: bool = False,
) -> Source:
    """Read ``x`` and ``y`` as a source.

    :param x: images as an array or tensor, or a Dataset or DataLoader of pairs. Of a DataLoader are kept its dataset,
        its order (shuffled or not, or its own sampler), ``drop_last``, its workers and its functions for them; not its
        batch size.
    :param y: labels of an array ``x``, as an array, tensor or list; else None.
    :param features: whether ``x`` may have any shape (N, ...) rather than that of images or videos.
    :raises ValueError, TypeError: if they cannot be a source.
    """
    workers = num_workers is None or (type(num_workers) is int and num_workers >= 0)
    require(workers, "num_workers", "be None or an int >= 0", num_workers)
    require(pin_memory in (None, True, False), "pin_memory", "be None, True or False", pin_memory)
    require(shuffle in (None, True, False), "shuffle", "be None, True or False", shuffle)
    if isinstance(x, (np.ndarray, Tensor)):
        require(not num_workers, "num_workers", "be None or 0 where x is an array", num_workers)
        pinned = bool(pin_memory) and torch.cuda.is_available()
        return ArraySource(_images(x, features), _labels(y, len(x)), shuffle is not False, pinned)
    loadable = isinstance(x, DataLoader) or hasattr(x, "__getitem__") or isinstance(x, IterableDataset)
    require(
        loadable and not isinstance(x, (list, tuple, dict)),
        "x",
        "be an array of images, a torch Dataset or a DataLoader",
        Text(type(x).__name__),
        TypeError,
    )
    require(y is None, "y", "be None where x is a Dataset or a DataLoader, which yields the labels", Text("labels"))
    if isinstance(x, DataLoader):
        return _loader_source(x, shuffle, num_workers, pin_memory, features)
    _check_map_style(x)
    settings = {
        "num_workers": num_workers or 0,
        "pin_memory": bool(pin_memory) and torch.cuda.is_available(),
    }
    return DatasetSource(x, shuffle is not False, None, settings, features)


def labels_of(y: Any, rows: Tensor | Sequence[int]) -> BatchLabels:
    """The labels at some positions, repeated positions included."""
    if isinstance(y, list):
        return [y[int(i)] for i in rows]
    return _tensor(y[rows])


def _tensor(values: Any) -> Tensor:
    return from_array(values) if isinstance(values, np.ndarray) else torch.as_tensor(values)


def _loader_source(
    loader: DataLoader[Any], shuffle: bool | None, num_workers: int | None, pin_memory: bool | None, features: bool
) -> DatasetSource:
    require(shuffle is None, "shuffle", "be None where x is a DataLoader, which has its own order", shuffle)
    _check_map_style(loader.dataset)
    sampler = loader.sampler
    if loader.batch_size is None:
        require(loader.batch_sampler is not None, "x", "be a DataLoader that collates batches", Text("batch_size=None"))
        sampler = _Flat(loader.batch_sampler)  # type: ignore[assignment,arg-type]
    whole = isinstance(sampler, RandomSampler) and not sampler.replacement
    shuffled = whole and len(sampler) == len(loader.dataset)  # type: ignore[arg-type]
    ordinary = shuffled or isinstance(sampler, SequentialSampler)
    require(ordinary or hasattr(sampler, "__len__"), "x", "have a sampler with a length", Text(type(sampler).__name__))
    settings: dict[str, Any] = {
        "num_workers": loader.num_workers if num_workers is None else num_workers,
        "pin_memory": (loader.pin_memory if pin_memory is None else pin_memory) and torch.cuda.is_available(),
        "collate_fn": loader.collate_fn,
        "worker_init_fn": loader.worker_init_fn,
    }
    if settings["num_workers"]:
        settings |= {"timeout": loader.timeout}
        settings |= {"multiprocessing_context": loader.multiprocessing_context}
        settings |= {"prefetch_factor": loader.prefetch_factor}
    return DatasetSource(
        loader.dataset, bool(shuffled), None if ordinary else sampler, settings, features, loader.drop_last
    )


class _Flat:
    """The positions of all batches of a batch sampler, one after the other."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[int]:
        return (index for batch in self.batches for index in batch)

    def __len__(self) -> int:
        if type(self.batches) is BatchSampler:  # counted without drawing an order
            images, size = len(self.batches.sampler), self.batches.batch_size  # type: ignore[arg-type]
            return images // size * size if self.batches.drop_last else images
        return sum(len(batch) for batch in self.batches)

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to samplers that are told it, as a distributed one is."""
        if hasattr(self.batches, "set_epoch"):
            self.batches.set_epoch(epoch)


def _check_map_style(dataset: Any) -> None:
    sized = isinstance(dataset, Sized) and not isinstance(dataset, IterableDataset)
    rule = "be a dataset with a length and items by position, so that an epoch is exact; read a stream into one first"
    require(sized, "x", rule, Text(type(dataset).__name__))
    require(len(dataset) > 0, "x", "hold at least one image", len(dataset))


def _images(x: Any, features: bool) -> Any:
    kind = str(x.dtype)
    fits = kind != "object" and (x.ndim in (4, 5) or (features and x.ndim > 1))
    require(fits, "x", "be 4D images or 5D videos", Text(f"{kind} of {tuple(x.shape)}"))
    require(len(x) > 0, "x", "hold at least one image", len(x))
    return x.detach() if isinstance(x, Tensor) else x


def _labels(y: Any, n: int) -> Any:
    require(y is not None, "y", "be given where x is an array", None)
    detections = as_detections("y", y)
    require(isinstance(y, Sized), "y", "hold one label for each image", Text(type(y).__name__), TypeError)
    require(len(y) == n, "y", f"hold one label for each of the {n} images", len(y))
    if detections is not None:
        return detections
    if isinstance(y, (list, tuple)):
        return np.asarray(y)
    if isinstance(y, np.ndarray) and y.dtype == object:
        return list(y)
    return y.detach() if isinstance(y, Tensor) else np.asarray(y)


def _pair(batch: Any, features: bool) -> Pair:
    """What a DataLoader yields as (images, labels)."""
    got = [type(part).__name__ for part in batch] if isinstance(batch, (list, tuple)) else type(batch).__name__
    require(isinstance(batch, (list, tuple)) and len(batch) == 2, "x", "yield pairs (image, label)", got)
    x, y = batch
    if isinstance(x, (list, tuple)):
        require(
            len({tuple(np.shape(image)) for image in x}) == 1,
            "x",
            "yield images of one size",
            Text("several sizes"),
        )
        x = torch.stack([_tensor(image) for image in x])
    x = _tensor(x)
    shape = Text(f"a batch of shape {tuple(x.shape)}")
    require(x.dim() in (4, 5) or (features and x.dim() > 1), "x", "yield 3D images or 4D videos", shape)
    if isinstance(y, (list, tuple)) and len(y) and isinstance(y[0], dict):
        return x, list(y)
    require(
        not isinstance(y, dict),
        "x",
        "yield detections as a list; collate_fn=lambda b: tuple(zip(*b))",
        Text("dict"),
    )
    return x, _tensor(y)

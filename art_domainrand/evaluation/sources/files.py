"""Data in files of arrays: NPZ files, and the folder of CIFAR-10-C. Nothing in them is ever run."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from art_domainrand.core.checks import Text, require
from art_domainrand.core.files import check_file
from art_domainrand.evaluation.sources.arrays import ArrayImages
from art_domainrand.evaluation.sources.base import LabelledSource, ReadSamples, as_pixels, digest_of

LARGEST_MEMBER = 1 << 33
"""How many bytes a compressed array may come to, which is read as a whole: 8 GiB. Others are mapped, not read."""

LOCAL_HEADER = 30
"""The bytes before the name of a member of a ZIP file, the last four of which are the lengths of what follows."""

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR10C_SEVERITIES = 5
"""CIFAR-10-C has the test images at five severities one after another."""


def npz_images(place: str) -> LabelledSource:
    """The arrays ``x`` and ``y`` of an NPZ file, and the names ``classes`` where it has them.

    Without pickles. An ``x`` that is not compressed is mapped, and never in memory as a whole.

    :param place: the file.
    :raises ValueError: for another file, and for one that claims to be absurdly large.
    """
    path = existing(place, "npz:FILE")
    check_file("data", path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            missing = {"x", "y"} - names
            require(not missing, "data", f"hold arrays x and y, {str(path)!r}", Text(f"{sorted(names)}"))
            arrays = {name: member(archive, path, name) for name in ("x", "y", "classes") if name in names}
    except ValueError:
        raise
    except Exception as error:  # whatever a broken archive makes its readers raise
        raise ValueError(f"data must be an NPZ file with arrays x and y, got {str(path)!r}: {error}") from None
    classes = [str(one) for one in arrays["classes"]] if "classes" in arrays else None
    x = arrays["x"]
    last = x.ndim == 4 and x.dtype == np.uint8 and x.shape[-1] in (1, 3) and x.shape[1] not in (1, 3)
    eight_bit = x.dtype == np.uint8
    return ArrayImages(x, arrays["y"], name=f"npz:{path.name}", classes=classes, unit=eight_bit, channels_last=last)


def member(archive: zipfile.ZipFile, path: Path, name: str) -> NDArray[Any]:
    """An array of an NPZ file: mapped if it is not compressed, else read, if it is of a size that can be meant."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        shape, fortran, dtype = npy_header(file, f"{path.name}, {name}")
        start = file.tell()
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    rule = f"be as large as it says, {path.name}, {name}"
    require(size == info.file_size - start, "data", rule, Text(f"{info.file_size} bytes for {shape} of {dtype}"))
    if info.compress_type == zipfile.ZIP_STORED and not fortran and size:
        with path.open("rb") as raw:
            raw.seek(info.header_offset + LOCAL_HEADER - 4)
            lengths = int.from_bytes(raw.read(2), "little") + int.from_bytes(raw.read(2), "little")
        offset = info.header_offset + LOCAL_HEADER + lengths + start
        return np.memmap(path, dtype, "r", offset, shape)
    require(size <= LARGEST_MEMBER, "data", f"hold at most {LARGEST_MEMBER} bytes where it is compressed", size)
    with archive.open(info) as file:
        found: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return found


def npy_header(file: Any, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type of an array in a file, which is left at its first number.

    :raises ValueError: for objects, which only a pickle could hold.
    """
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    require(not dtype.hasobject, "data", f"hold numbers, no objects, {where}", dtype)
    return shape, fortran, dtype


class CorruptedCifar10(LabelledSource):
    """CIFAR-10-C in the files of its authors: NAME.npy with five severities of the test images, and labels.npy.

    Samples are in order of the names, then severities; each is called by them, as in "fog/3/17".

    :param files: the files of the corruptions.
    :param labels: class indices of the test images at each severity, as in labels.npy.
    :param name: what the data are called.
    :raises ValueError: for files that do not fit.
    """

    unit = True
    classes: tuple[str, ...] | None = CIFAR10_CLASSES

    def __init__(self, files: Sequence[Path], labels: NDArray[Any], name: str) -> None:
        self.name = name
        self.corruptions = [path.stem for path in files]
        self.parts = [ArrayImages(mapped(path), labels, unit=True, channels_last=True) for path in files]
        self.each = len(labels)

    def __len__(self) -> int:
        return self.each * len(self.parts)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[0].shape

    def read(self, samples: NDArray[np.int64]) -> ReadSamples:
        pairs = [divmod(int(sample), self.each) for sample in samples]
        x = np.stack([as_pixels(self.parts[part].x[place]) for part, place in pairs])
        y = np.array([self.parts[part].y[place] for part, place in pairs], dtype=np.int64)
        images = max(1, self.each // CIFAR10C_SEVERITIES)
        names = [f"{self.corruptions[part]}/{place // images + 1}/{place % images}" for part, place in pairs]
        return ReadSamples(np.ascontiguousarray(np.moveaxis(x, -1, 1)), y, tuple(names))

    def digest(self) -> str:
        return digest_of([*self.corruptions, *(part.digest() for part in self.parts)])


def corrupted_cifar10(place: str) -> LabelledSource:
    """CIFAR-10-C in a folder, or one corruption of it.

    :param place: the folder with NAME.npy and labels.npy, or one of the files.
    :raises ValueError: for a folder without them.
    """
    path = existing(place, "cifar10c:DIR")
    if not path.is_dir():
        check_file("data", path)
    folder = path.parent if path.is_file() else path
    labels = folder / "labels.npy"
    files = [path] if path.is_file() else sorted(one for one in folder.glob("*.npy") if one.name != "labels.npy")
    whole = labels.is_file() and bool(files)
    require(whole, "data", "be a folder with NAME.npy and labels.npy", str(folder))
    return CorruptedCifar10(files, np.array(mapped(labels)), f"cifar10c:{path.name}")


def mapped(path: Path) -> NDArray[Any]:
    """The array of an NPY file, mapped, without pickles."""
    check_file("data", path)
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"data must hold arrays that can be read, got {str(path)!r}: {error}") from None
    return found


def existing(place: str, form: str) -> Path:
    """A path that is there; ``form`` is how it is to be written."""
    require(place, "data", f"be written as {form}", Text("no path"))
    path = Path(place).expanduser()
    require(path.exists(), "data", f"be written as {form} and name what exists", place)
    return path

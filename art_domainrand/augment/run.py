"""A folder of images, image by image: checked, resumed, spread over worker processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from art_domainrand.augment.image import Augmentation, Trouble, augment_image, copy_name
from art_domainrand.core.environment import installed
from art_domainrand.core.files import check_folder, partial_prefix, whole_file
from art_domainrand.randomization import Pipeline, to_dict
from art_domainrand.randomization.kept import without_files

MANIFEST = "augmentation.json"
"""The file in the output folder that records the settings it was made with."""


@dataclass(frozen=True)
class AugmentReport:
    """What became of the files of a folder; all are named relative to the source.

    :param images: how many images have their copies now.
    :param failures: the images that could not be read, changed or written under their name, and why.
    :param others: the files that are no images, such as labels.json.
    """

    images: int
    failures: tuple[tuple[str, str], ...]
    others: tuple[str, ...] = ()


def augment_folder(
    source: str | Path,
    out: str | Path,
    pipeline: Pipeline,
    copies: int = 1,
    seed: int = 0,
    workers: int = 1,
    verbose: bool = False,
) -> AugmentReport:
    """Write every image below a folder, and randomized versions of it, to the same place below another.

    ``cat/1.jpg`` is copied as it is, and ``cat/1.jpg.aug1.png``, ``cat/1.jpg.aug2.png`` ... are drawn from
    ``pipeline``: the class folders stay, and so do the image's size and its being grey, where the pipeline takes grey
    images. Files and folders whose name starts with a dot are left out.

    Images are read upright, as their EXIF tag says, so that rain falls down and boxes drawn in a viewer fit the copies,
    which need no such tag. Boxes of a tool that does not heed the tag must be turned before they are moved along.

    What a copy looks like depends on ``seed``, the image's path below ``source``, the number of the copy, and the
    image. A run that was stopped at any moment can be repeated: finished images are kept, and the result is that of an
    undisturbed run. No file is ever half written.

    :param source: the folder with the images.
    :param out: a new or empty folder outside ``source``, or that of an earlier run with the same settings.
    :param pipeline: the randomization.
    :param copies: how many randomized versions of each image, an int >= 1.
    :param seed: an int >= 0.
    :param workers: the number of processes, an int >= 1; it changes nothing in the result.
    :param verbose: show a progress bar.
    :return: what became of the files: those that are no images are left out and named; broken images, unreadable
        folders and names that ``out`` cannot hold are left out and are failures.
    :raises ValueError: for bad arguments, folders inside one another, and an ``out`` that holds anything but results of
        the same settings.
    :raises OSError: for an ``out`` that cannot be written to.
    """
    for name, value, least in (("copies", copies, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be an int >= {least}, got {value!r}")
    source, out = Path(source).expanduser(), check_folder("out", out)
    if not source.is_dir():
        raise ValueError(f"source must be a folder, got {str(source)!r}")
    inner, outer = out.resolve(), source.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise ValueError(f"out must lie outside source and source outside out, got {str(out)!r} and {str(source)!r}")
    settings = {
        "art_domainrand": installed("art-domainrand"),
        "seed": seed,
        "copies": copies,
        "pipeline": to_dict(pipeline),
    }
    failures: list[tuple[str, str]] = []
    files = list_files(source, failures)
    if not files:
        raise ValueError(f"source must hold images, got no file in {str(source)!r}")
    _check_names(files)
    _claim(out, settings)
    _sweep(out, files, copies)
    job = Augmentation(source, out, pipeline, copies, seed, grey=pipeline.takes(1))
    others = []
    done = _in_this_process(job, files) if workers == 1 else _in_workers(job, files, workers)
    images = 0
    for relative, trouble in tqdm(done, total=len(files), desc="augmenting", unit="image", disable=not verbose):
        if trouble is None:
            images += 1
        elif trouble.is_image:
            failures.append((relative.as_posix(), trouble.reason))
        else:
            others.append(relative.as_posix())
    return AugmentReport(images, tuple(sorted(failures)), tuple(sorted(others)))


def list_files(source: Path, failures: list[tuple[str, str]] | None = None) -> list[Path]:
    """All files below ``source``, relative to it, in sorted order, without hidden ones.

    Links are followed, but for those to a folder they stand in, which would never end. Folders that cannot be read are
    added to ``failures``, with the reason; without it, or if it is ``source`` itself, they raise OSError.
    """
    found = []

    def fail(error: OSError) -> None:
        folder = Path(error.filename)
        if failures is None or folder == source:
            raise error
        failures.append((folder.relative_to(source).as_posix(), error.strerror or str(error)))

    for folder, names, files in os.walk(source, onerror=fail, followlinks=True):
        here = os.path.realpath(folder)
        names[:] = [name for name in names if name[0] != "." and not _leads_up(os.path.join(folder, name), here)]
        found += [Path(folder, name).relative_to(source) for name in files if name[0] != "."]
    return sorted(found)


def _leads_up(path: str, here: str) -> bool:
    return os.path.islink(path) and Path(here).is_relative_to(os.path.realpath(path))


def _check_names(files: list[Path]) -> None:
    """Refuse sources that would be written over by the copy of another, or by the manifest."""
    known = set(files)
    for file in files:
        match = re.fullmatch(r"(.+)\.aug(\d+)\.png", file.name)
        if (match and file.with_name(match[1]) in known) or file == Path(MANIFEST):
            raise ValueError(f"source must not hold files named like results, got {str(file)!r}")


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Record ``settings`` in a new or empty folder; in one that is not empty they must be those recorded."""
    path = out / MANIFEST
    if not path.exists():
        others = [entry for entry in out.iterdir() if not _is_partial(entry, _partials({path}))] if out.exists() else []
        if others:
            raise ValueError(f"out must be new, empty or the out of an earlier run, got {str(out)!r} with other files")
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=2) + "\n")
        return
    try:
        found = json.loads(path.read_text())
        differing = [key for key in settings if without_files(found.get(key)) != without_files(settings[key])]
    except (ValueError, AttributeError):
        raise ValueError(f"out must hold the settings of an earlier run, got a broken {str(path)!r}") from None
    if differing:
        changes = [
            "another pipeline" if key == "pipeline" else f"{key} {found.get(key)!r} instead of {settings[key]!r}"
            for key in differing
        ]
        raise ValueError(f"out must hold results of the same settings, got {str(out)!r} with {', '.join(changes)}")


def _sweep(out: Path, files: list[Path], copies: int) -> None:
    """Remove what killed runs left half written."""
    results = {out / file for file in files} | {out / MANIFEST}
    results |= {out / copy_name(file, copy) for file in files for copy in range(1, copies + 1)}
    partials = _partials(results)
    for folder in {result.parent for result in results}:
        for entry in folder.glob(".*"):
            if _is_partial(entry, partials):
                entry.unlink(missing_ok=True)


def _partials(results: set[Path]) -> set[tuple[Path, str, str]]:
    """What the temporary files of ``whole_file`` for ``results`` are named like: folder, prefix and suffix."""
    return {(result.parent, partial_prefix(result), result.suffix) for result in results}


def _is_partial(path: Path, partials: set[tuple[Path, str, str]]) -> bool:
    match = re.fullmatch(r"(\..+-)\w{8}", path.stem)
    return match is not None and (path.parent, match[1], path.suffix) in partials


def _in_this_process(job: Augmentation, files: Iterable[Path]) -> Iterator[tuple[Path, Trouble | None]]:
    with _one_thread():
        for file in files:
            yield file, augment_image(job, file)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The bits of an image must not depend on how many threads a machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_workers(job: Augmentation, files: Iterable[Path], workers: int) -> Iterator[tuple[Path, Trouble | None]]:
    waiting = iter(files)
    context = multiprocessing.get_context("spawn")  # a forked copy of torch's threads may lock up
    with ProcessPoolExecutor(workers, context, initializer=_start_worker) as pool:
        running: dict[Future[Trouble | None], Path] = {}
        try:
            # A few images ahead for each worker: a list of all futures would hold memory for every file.
            while True:
                for file in islice(waiting, 4 * workers - len(running)):
                    running[pool.submit(augment_image, job, file)] = file
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise OSError("a worker process died, perhaps for want of memory; the run can be repeated") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Work on one thread, leave interrupts to the parent, and do not outlive it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()

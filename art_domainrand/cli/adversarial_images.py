"""Adversarial examples written as files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from art_domainrand.core.checks import require
from art_domainrand.core.files import check_folder, whole_file
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.random import GLOBAL, seed_of
from art_domainrand.estimators import predict
from art_domainrand.estimators.outputs import adapted
from art_domainrand.evaluation.conditions.kinds import Attacked
from art_domainrand.evaluation.conditions.names import NORMS
from art_domainrand.evaluation.running.attacks import clipped_images, examples, make_attack
from art_domainrand.evaluation.running.block import pulled_back
from art_domainrand.evaluation.running.unit_images import unit_picture
from art_domainrand.evaluation.running.work import in_range_of
from art_domainrand.evaluation.sources import LabelledSource

RECORD = "adversarial.json"
"""The file that says what was done."""

ROUNDING_SAID = (
    "pixels are rounded to the nearest of 256 levels; what the model says of the rounded images, and how far they are "
    "from the clean ones, is what stands here"
)
EXACT_SAID = "pixels are float32 in [0, 1], not rounded"

FORMATS = ("png", "npz")


@dataclass(frozen=True)
class WrittenImage:
    """An adversarial image and where it is.

    :param sample: its place in the data.
    :param file: its file, relative to the folder; of an archive the place in it.
    :param label: its class index.
    :param before: the class predicted for the clean image.
    :param after: the class predicted for the image as it is written.
    :param linf: how far it is from the clean image, for pixels in [0, 1].
    :param l2: the same in L2.
    """

    sample: int
    file: str
    label: int
    before: int
    after: int
    linf: float
    l2: float


def check_new(out: Path) -> None:
    """Raise ValueError unless ``out`` is an empty folder that can be written to, or can be made one."""
    check_folder("out", out)
    used = out.exists() and any(out.iterdir())
    require(not used, "out", "be new or empty", str(out))


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder inside ``out`` to write into; its content becomes that of ``out`` if the block ends well.

    :raises ValueError: for an ``out`` that has something in it already.
    """
    check_new(out)
    fresh = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    inner = Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
    try:
        yield inner
        for path in sorted(
            inner.iterdir(), key=lambda one: one.name == RECORD
        ):  # the record last: it says all is there
            path.rename(out / path.name)
    finally:
        shutil.rmtree(inner, ignore_errors=True)
        if not any(out.iterdir()):
            for folder in fresh:
                folder.rmdir()


def write_adversarial(
    out: Path,
    estimator: Any,
    data: LabelledSource,
    samples: NDArray[np.int64],
    condition: Attacked,
    *,
    form: str,
    seed: int,
    batch_size: int,
    about: Mapping[str, Any],
) -> list[WrittenImage]:
    """Attack samples and write what comes of it, and a record of it; all of it, or nothing.

    :param out: a folder that is new or empty.
    :param estimator: the model.
    :param data: the images.
    :param samples: places of those to be attacked.
    :param condition: the attack.
    :param form: "png", images of 8 bits in a folder for each class, or "npz", one archive of arrays.
    :param seed: of the attack.
    :param batch_size: images at a time.
    :param about: what else the record says.
    :return: what was written.
    """
    channels = data.shape[0]
    require(form == "npz" or channels in (1, 3), "format", f"be npz for images of {channels} channels", form)
    attack = make_attack(condition, estimator, condition.eps, seed=seed, batch_size=batch_size)
    written: list[WrittenImage] = []
    arrays: list[NDArray[np.float32]] = []
    with new_folder(out) as folder:
        for start in range(0, len(samples), batch_size):
            places = samples[start : start + batch_size]
            read = data.read(places)
            x = in_range_of(estimator, read.x) if data.unit else read.x
            # What draws from the global generators is told the samples, as where models are evaluated.
            with seeded_global_rng(seed_of(seed, GLOBAL, int(places[0]))), adapted(estimator):
                found = examples(attack, x, read.y, condition.name) if condition.eps else x
            # Attacks that look for the nearest example do not heed the radius.
            found = pulled_back(x, clipped_images(found, estimator), condition.eps, NORMS[condition.norm])
            clean = np.stack([unit_picture(estimator, one) for one in x])
            unit = np.stack([unit_picture(estimator, one) for one in found])
            shown = rounded(unit) if form == "png" else unit
            before = np.asarray(predict(estimator, x, batch_size=batch_size)).argmax(1)
            after = np.asarray(predict(estimator, in_range_of(estimator, shown), batch_size=batch_size)).argmax(1)
            change = (shown - clean).reshape(len(shown), -1).astype(np.float64)
            for k, place in enumerate(places):
                file = (
                    f"images/{read.y[k]:04d}/{place:08d}.png" if form == "png" else f"adversarial.npz[{len(written)}]"
                )
                if form == "png":
                    save_png(folder / file, shown[k])
                sizes = float(np.abs(change[k]).max(initial=0)), float(np.sqrt((change[k] ** 2).sum()))
                written.append(WrittenImage(int(place), file, int(read.y[k]), int(before[k]), int(after[k]), *sizes))
            if form == "npz":
                arrays.append(shown)
        if form == "npz":
            labels = np.array([one.label for one in written], np.int64)
            np.savez(folder / "adversarial.npz", x=np.concatenate(arrays), y=labels, sample=samples)
        record = {**about, **summary_of(written, condition), "rounding": ROUNDING_SAID if form == "png" else EXACT_SAID}
        record["images"] = [asdict(one) for one in written]
        with whole_file(folder / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return written


def summary_of(written: list[WrittenImage], condition: Attacked) -> dict[str, Any]:
    """What the attack came to, for the record."""
    right_before = sum(one.before == one.label for one in written)
    right_after = sum(one.after == one.label for one in written)
    return {
        "attack": condition.attack if isinstance(condition.attack, str) else condition.name,
        "norm": condition.norm,
        "eps": condition.eps,
        "options": dict(condition.options),
        "n": len(written),
        "accuracy_before": right_before / len(written),
        "accuracy_after": right_after / len(written),
        "largest_linf": max(one.linf for one in written),
        "largest_l2": max(one.l2 for one in written),
    }


def rounded(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images in [0, 1] at the nearest of 256 levels."""
    found: NDArray[np.float32] = (np.round(unit * 255) / np.float32(255)).astype(np.float32)
    return found


def save_png(path: Path, image: NDArray[np.float32]) -> None:
    """Write an image (C, H, W) of 256 levels, without loss."""
    levels = np.round(image * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)).save(path)

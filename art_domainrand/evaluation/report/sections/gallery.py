"""What broke first: images before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from art_domainrand.evaluation.evaluation import Evaluation, Sample
from art_domainrand.evaluation.report.pictures import Picture, difference, png_picture

MOST_SAMPLES = 12
"""Samples that are shown of each model."""

MOST_BYTES = 800_000
"""Bytes that the pictures of all models may take together; there is always one sample."""


@dataclass(frozen=True)
class Exhibit:
    """A sample and its pictures.

    :param sample: the sample.
    :param clean: the image as it was.
    :param changed: as it was judged.
    :param change: the difference, amplified; None where the two have not the same shape.
    :param distances: how far apart the two are, by the norm's name.
    """

    sample: Sample
    clean: Picture
    changed: Picture
    change: Picture | None
    distances: tuple[tuple[str, float], ...]

    @property
    def size(self) -> int:
        """The bytes of its pictures."""
        return sum(len(one.source) for one in (self.clean, self.changed, self.change) if one is not None)


def exhibits(evaluation: Evaluation) -> dict[str, tuple[Exhibit, ...]]:
    """The samples that are shown of each model that has some: the first of each condition, then the second of each."""
    by_model = {model: list(in_turn_of(evaluation, model))[:MOST_SAMPLES] for model in evaluation.models}
    left, found = MOST_BYTES, dict[str, list[Exhibit]]()
    # Models take turns, so that none fills the page alone.
    for sample in (one for turn in zip_longest(*by_model.values()) for one in turn if one is not None):
        shown = exhibit_of(evaluation, sample)
        if shown.size > left and found:
            break
        left -= shown.size
        found.setdefault(sample.model, []).append(shown)
    return {model: tuple(found[model]) for model in evaluation.models if model in found}


def in_turn_of(evaluation: Evaluation, model: str) -> Iterator[Sample]:
    """The samples of a model, from one condition after another."""
    by_condition: dict[str, list[Sample]] = {name: [] for name in evaluation.conditions}
    for sample in evaluation.samples:
        if sample.model == model:
            by_condition.setdefault(sample.condition, []).append(sample)
    return (one for one in chain.from_iterable(zip_longest(*by_condition.values())) if one is not None)


def exhibit_of(evaluation: Evaluation, sample: Sample) -> Exhibit:
    """The pictures of a sample."""
    alike = sample.clean.shape == sample.changed.shape
    return Exhibit(
        sample,
        png_picture(sample.clean, f"{sample.label}, as it was"),
        png_picture(sample.changed, f"the same after {sample.condition}"),
        png_picture(difference(sample.clean, sample.changed), "the difference, ten times as large") if alike else None,
        distances_of(sample) if alike else (),
    )


def distances_of(sample: Sample) -> tuple[tuple[str, float], ...]:
    """How far the changed image is from the clean one in L-infinity and in L2."""
    change = (sample.changed.astype(np.float64) - sample.clean).ravel()
    return ("L\N{INFINITY}", float(np.abs(change).max())), ("L2", float(np.linalg.norm(change)))

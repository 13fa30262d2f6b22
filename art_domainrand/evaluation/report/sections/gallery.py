"""What broke first: images before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from operator import itemgetter

import numpy as np

from art_domainrand.evaluation.conditions.kinds import Condition, Corrupted, InDomain, eps_of, with_eps
from art_domainrand.evaluation.evaluation import Evaluation, Sample
from art_domainrand.evaluation.report.pictures import Picture, difference, png_picture
from art_domainrand.evaluation.report.sections.conditions import kind_text
from art_domainrand.evaluation.report.sections.done import words_beyond_the_name

MOST_SAMPLES = 12
"""Samples that are shown of each model."""

MOST_BYTES = 800_000
"""Bytes that the pictures of all models may take together; there is always one sample."""

MOST_LETTERS = 160
"""Letters of what was done to an image that are shown at once; more are folded."""


@dataclass(frozen=True)
class Exhibit:
    """A sample and its pictures.

    :param sample: the sample.
    :param words: what was done to it, as far as the name of the condition does not say it.
    :param clean: the image as it was.
    :param changed: as it was judged.
    :param change: the difference, amplified; None where the two have not the same shape.
    :param distances: how far apart the two are, by the norm's name.
    """

    sample: Sample
    words: str
    clean: Picture
    changed: Picture
    change: Picture | None
    distances: tuple[tuple[str, float], ...]

    @property
    def long_words(self) -> bool:
        """Whether what was done takes more words than stand beside a picture."""
        return len(self.words) > MOST_LETTERS

    @property
    def size(self) -> int:
        """The bytes of its pictures."""
        return sum(len(one.source) for one in (self.clean, self.changed, self.change) if one is not None)


def exhibits(evaluation: Evaluation) -> dict[str, tuple[Exhibit, ...]]:
    """The samples that are shown of each model that has some, as different as there are."""
    by_model = {model: in_turn_of(evaluation, model)[:MOST_SAMPLES] for model in evaluation.models}
    left, found = MOST_BYTES, dict[str, list[Exhibit]]()
    # Models take turns, so that none fills the page alone.
    for sample in (one for turn in zip_longest(*by_model.values()) for one in turn if one is not None):
        shown = exhibit_of(evaluation, sample)
        if shown.size > left and found:
            break
        left -= shown.size
        found.setdefault(sample.model, []).append(shown)
    return {model: tuple(found[model]) for model in evaluation.models if model in found}


def in_turn_of(evaluation: Evaluation, model: str) -> list[Sample]:
    """The samples of a model: one of each condition before a second of any, and kinds of conditions in turn.

    Of conditions that differ in their radius or severity alone the first comes before the others: what breaks first.
    """
    turns, seen = turns_of(evaluation.conditions), Counter[str]()
    found = []
    for sample in evaluation.samples:
        if sample.model == model and sample.condition in turns:
            found.append(((seen[sample.condition], *turns[sample.condition]), sample))
            seen[sample.condition] += 1
    return [sample for _, sample in sorted(found, key=itemgetter(0))]


def turns_of(conditions: Mapping[str, Condition]) -> dict[str, tuple[int, int, int]]:
    """Of each condition its place in its family, its family's place in its kind, and the place of its kind."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for name, condition in conditions.items():
        kinds.setdefault(kind_text(condition), {}).setdefault(family_of(condition), []).append(name)
    return {
        name: (place, family, kind)
        for kind, families in enumerate(kinds.values())
        for family, names in enumerate(families.values())
        for place, name in enumerate(names)
    }


def family_of(condition: Condition) -> str:
    """What conditions have in common that differ in their radius or severity alone."""
    if isinstance(condition, Corrupted):
        return condition.corruption
    if isinstance(condition, InDomain):
        return condition.called
    return condition.name if eps_of(condition) is None else with_eps(condition, 0.0).name


def exhibit_of(evaluation: Evaluation, sample: Sample) -> Exhibit:
    """The pictures of a sample."""
    alike = sample.clean.shape == sample.changed.shape
    return Exhibit(
        sample,
        words_beyond_the_name(sample.words, evaluation.conditions[sample.condition], sample.condition),
        png_picture(sample.clean, f"{sample.label}, as it was"),
        png_picture(sample.changed, f"the same after {sample.condition}"),
        png_picture(difference(sample.clean, sample.changed), "the difference, ten times as large") if alike else None,
        distances_of(sample) if alike else (),
    )


def distances_of(sample: Sample) -> tuple[tuple[str, float], ...]:
    """How far the changed image is from the clean one in L-infinity and in L2."""
    change = (sample.changed.astype(np.float64) - sample.clean).ravel()
    return ("L\N{INFINITY}", float(np.abs(change).max())), ("L2", float(np.linalg.norm(change)))

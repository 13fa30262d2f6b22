"""What a generative training run was like, and the signs by which it is seen to have failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LATE = 5
"""The signs are read from the means of the last epochs, so many of them."""

WINS_BELOW = 0.025
"""The discriminator has won where its loss is below this, a tenth of what it is where it can only guess."""

SAME_FROM = 0.95
"""Perturbations are the same for all images where they are so similar on average, as cosines."""

VARIETY = 0.25
"""Generated images have collapsed where they vary by less than this share of what the target images do."""

ALIKE_FROM = 0.5
"""Two runs have learned the same map where it makes images that are so similar on average, as cosines."""

VIEWED = 256
"""Of so many generated images it is looked at how they vary."""

FEWEST_LEARNED = 64
"""Fewer images than these are learned by heart."""


@dataclass(frozen=True)
class FitRecord:
    """The means of each epoch, by name: losses and shares.

    :param epochs: one mapping for each epoch.
    :param agreements: of each other restart, how alike the images are that its map and the one that was kept make, as
        :func:`agreement` says.
    """

    epochs: tuple[Mapping[str, float], ...]
    agreements: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"epochs": [dict(epoch) for epoch in self.epochs], "agreements": list(self.agreements)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> FitRecord:
        """The record that :meth:`to_dict` described.

        :param document: what it returned.
        """
        return cls(tuple(dict(epoch) for epoch in document["epochs"]), tuple(document.get("agreements", ())))

    def late(self, name: str) -> float:
        """The mean of one quantity over the last epochs.

        :param name: what it is called.
        """
        values = [epoch[name] for epoch in self.epochs[-LATE:]]
        return sum(values) / len(values)


class Sums:
    """Running means of an epoch, kept on the device until they are read."""

    def __init__(self) -> None:
        self.totals: dict[str, Tensor] = {}
        self.count = 0

    def add(self, values: Mapping[str, Tensor], images: int) -> None:
        """Add the means over so many images."""
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, torch.zeros_like(value)) + value.detach() * images
        self.count += images

    def means(self) -> dict[str, float]:
        """The means over all images."""
        return {name: float(total) / self.count for name, total in self.totals.items()}


def sign_of_victory(record: FitRecord, what: str, advice: str) -> list[str]:
    """What to warn of if the discriminator has won, which then teaches the generator nothing more.

    :param record: of the run.
    :param what: the name of what was fitted.
    :param advice: what to change.
    """
    loss = record.late("discriminator")
    if loss >= WINS_BELOW:
        return []
    return [
        f"{what}: the discriminator wins, its loss was {loss:.3f} in the last epochs where guessing costs 0.25, so it "
        f"no longer guides the generator; {advice}"
    ]


def sign_of_disagreement(record: FitRecord, what: str) -> list[str]:
    """What to warn of if restarts have not all learned the same map: the images alone do not say which is right.

    :param record: of the run that was kept.
    :param what: the name of what was fitted.
    """
    others = [one for one in record.agreements if one < ALIKE_FROM]
    if not others:
        return []
    return [
        f"{what}: restarts disagree, {len(others)} of the {len(record.agreements)} others learned another map than the "
        f"one that was kept (mean cosine of images {min(others):.2f}); look at mapped images, or raise restarts"
    ]


def sign_of_few(what: str, **counts: int) -> list[str]:
    """What to warn of if there are too few images to learn from, by the names of the arguments.

    :param what: the name of what is fitted.
    :param counts: how many images there are.
    """
    return [
        f"{what}: {count} images of {name} are too few (fewer than {FEWEST_LEARNED}), it learns them by heart"
        for name, count in counts.items()
        if count < FEWEST_LEARNED
    ]


def similarity(perturbations: Tensor) -> float:
    """The mean cosine between perturbations (N, ...) of different images, N >= 2; 1 where all point the same way."""
    rows = torch.nn.functional.normalize(perturbations.flatten(1).double(), dim=1)
    n = len(rows)
    return float((rows.sum(0).square().sum() - rows.square().sum()) / (n * (n - 1)))


def agreement(one: Tensor, other: Tensor) -> float:
    """How alike two maps' images (N, ...) of the same originals are, N >= 2: 1 for the same, -1 for the opposite.

    It is the mean cosine of what is particular to an image, its difference from the mean over all.
    """
    parts = [images.flatten(1).double() for images in (one, other)]
    own = [torch.nn.functional.normalize(rows - rows.mean(0), dim=1) for rows in parts]
    return float((own[0] * own[1]).sum(1).mean())


def variety(images: Tensor) -> float:
    """How much images (N, ...) differ from one another: the root of the mean variance of a pixel over them."""
    return float(images.double().var(0, correction=0).mean().sqrt())

"""What a union of attacks found: the worst image of each sample, and which attack broke it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from art_domainrand.core.checks import Text, require

NOBODY = -1
"""Stands in ``by`` for a sample that no attack has broken."""


@dataclass(frozen=True, eq=False, repr=False)
class UnionFindings:
    """The worst case of each of N images over K attacks.

    :param images: The first success of each image, else the image of largest margin that an attack made, (N, ...): an
        array if the attack was given one, else a tensor.
    :param fooled: (N,) whether some attack broke the sample.
    :param by: (N,) the place in ``names`` of the attack that did, -1 for none.
    :param margins: (N,) best other score minus the score of the label; for a targeted attack the score of the target
        minus the best other one. The larger, the worse for the model.
    :param names: K names of the attacks, in the order in which they were given.
    :param order: The places of the attacks in the order in which they ran.
    :param shown: How many samples each attack was given: those that no attack before it had broken.
    :param forwards: How many images went forward through the model for each attack, with the look at its images; NaN
        where they cannot be counted.
    :param backwards: How many gradients of images were taken for each.
    """

    images: Any
    fooled: Any
    by: Any
    margins: Any
    names: tuple[str, ...]
    order: tuple[int, ...]
    shown: tuple[int, ...]
    forwards: tuple[float, ...]
    backwards: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.by)

    def __repr__(self) -> str:
        return f"<UnionFindings of {len(self)} images, broken by {self.broken}, {self.evaluations:g} evaluations each>"

    @property
    def evaluations(self) -> float:
        """Model evaluations per image, over all attacks: a forward pass counts one, and so does a backward pass."""
        return (sum(self.forwards) + sum(self.backwards)) / max(len(self), 1)

    @property
    def broken(self) -> dict[str, int]:
        """How many samples each attack broke that none before it had, by name, in the order in which they ran."""
        by = torch.as_tensor(self.by)
        return {self.names[place]: int((by == place).sum()) for place in self.order}

    def describe(self, i: int) -> str:
        """The name of the attack that broke image ``i``, "" for none.

        :param i: Which of the N images.
        """
        place = int(self.by[i])
        return "" if place == NOBODY else self.names[place]

    def to_json(self) -> str:
        """Everything but the images, which belong into an array file, exactly."""
        document = {
            "names": list(self.names),
            "order": list(self.order),
            "shown": list(self.shown),
            "forwards": [None if np.isnan(count) else count for count in self.forwards],
            "backwards": [None if np.isnan(count) else count for count in self.backwards],
            "fooled": torch.as_tensor(self.fooled).tolist(),
            "by": torch.as_tensor(self.by).tolist(),
            "margins": [str(margin) for margin in torch.as_tensor(self.margins).double().tolist()],
        }
        return json.dumps(document, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, images: Any) -> UnionFindings:
        """Read what :meth:`to_json` wrote.

        :param text: What it wrote.
        :param images: The images found, (N, ...), as an array or tensor.
        :raises ValueError: for another number of images.
        """
        document = json.loads(text)
        n = len(document["by"])
        require(len(images) == n, "images", f"hold {n} images, one for each sample", Text(str(len(images))))
        device = images.device if isinstance(images, Tensor) else None

        def read(values: list[Any], dtype: Any) -> Any:
            array = np.asarray(values, dtype=dtype)
            return array if device is None else torch.from_numpy(array).to(device)

        def counts(name: str) -> tuple[float, ...]:
            return tuple(float("nan") if count is None else count for count in document[name])

        return cls(
            images=images,
            fooled=read(document["fooled"], bool),
            by=read(document["by"], np.int64),
            margins=read([float(margin) for margin in document["margins"]], np.float32),
            names=tuple(document["names"]),
            order=tuple(document["order"]),
            shown=tuple(document["shown"]),
            forwards=counts("forwards"),
            backwards=counts("backwards"),
        )

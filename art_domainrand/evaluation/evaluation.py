"""What an evaluation comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_domainrand.evaluation.conditions.condition import Condition
from art_domainrand.evaluation.diagnose.diagnosis import Diagnosis
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.results import Row


@dataclass(frozen=True, eq=False)
class Sample:
    """An image that was right before a condition and wrong after it, kept to be looked at.

    :param model: the model's name.
    :param condition: the condition's name.
    :param sample: its place in the data.
    :param clean: the image as it was, (C, H, W) in [0, 1].
    :param changed: the image that was judged, (C, H, W) in [0, 1].
    :param label: the name of its class.
    :param before: the class predicted for ``clean``.
    :param after: the class predicted for ``changed``.
    :param words: what was done to it, such as the parameters of its draw; empty where there is nothing to say.
    :param source: where it came from, such as the name of its file; empty where there is none.
    """

    model: str
    condition: str
    sample: int
    clean: NDArray[np.float32]
    changed: NDArray[np.float32]
    label: str
    before: str
    after: str
    words: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """The outcome table and everything that is needed to read it.

    :param outcomes: the table.
    :param conditions: the conditions by their names, in the order of the table.
    :param manifest: what was asked for and with what: see :mod:`art_domainrand.evaluation.storage.manifest`.
    :param diagnoses: of each model that was diagnosed, by its name.
    :param samples: images kept to be looked at.
    :param cost: seconds and memory, which are not part of the table.
    """

    outcomes: Outcomes
    conditions: Mapping[str, Condition]
    manifest: Mapping[str, Any]
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        # That of a dataclass would be every row and every pixel of the images kept.
        return f"<{type(self).__name__} of {', '.join(map(repr, self.models))} in {len(self.conditions)} conditions>"

    def __str__(self) -> str:
        lines = [
            f"{row.model}, {row.cell}: {row.accuracy:.1%} (95% interval {row.low:.1%} to {row.high:.1%})"
            for row in self.rows()
        ]
        return "\n".join([repr(self), *lines])

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models."""
        return self.outcomes.models

    def accuracy(self, model: str, condition: str) -> Row:
        """The accuracy of a model in a condition, with its 95% interval; over all draws where there are several.

        With several draws of N images the interval is that of N images: draws of one image are not independent.

        :param model: the model's name.
        :param condition: the condition's name.
        :raises KeyError: if there is no such model or condition.
        """
        right = self.outcomes.right(model, condition)
        if len(right) == 1:
            return Row.count(model, condition, int(right.sum()), right.shape[1])
        return Row.share(model, condition, float(right.mean()), right.shape[1])

    def rows(self) -> tuple[Row, ...]:
        """The accuracy of every model in every condition."""
        return tuple(self.accuracy(model, condition) for model in self.models for condition in self.conditions)

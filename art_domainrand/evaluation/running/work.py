"""The loop over the units: read a block, let every model meet it, note what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.pixels import ClipRange
from art_domainrand.evaluation.conditions.kinds import Condition
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.blocks import Finished, HasRows, UnitResult, placed
from art_domainrand.evaluation.running.errors import located
from art_domainrand.evaluation.running.plan import Plan, Unit
from art_domainrand.evaluation.sources.base import LabelledSource, ReadSamples

KEPT_BLOCKS, KEPT_SAMPLES = 2, 8
"""From how many blocks images are kept to be looked at, and how many for each condition."""

DoUnit = Callable[..., HasRows]
"""What :func:`art_domainrand.evaluation.running.perform.perform` is."""


@dataclass(eq=False)
class Work:
    """What every unit needs, and the block that was read last.

    :param plan: the units.
    :param models: the estimators by name.
    :param conditions: the conditions by name.
    :param source: the data.
    :param classes: the names of the classes.
    :param predictions: how often each model is asked, by name.
    :param seed: the seed of the evaluation.
    :param batch_size: how many images a model is shown at a time; halved where memory runs out.
    :param performer: what does a unit.
    """

    plan: Plan
    models: Mapping[str, Any]
    conditions: Mapping[str, Condition]
    source: LabelledSource
    classes: Sequence[str]
    predictions: Mapping[str, int]
    seed: int
    batch_size: int
    performer: DoUnit
    part: tuple[int, ReadSamples] | None = field(default=None, init=False)

    def model_of(self, unit: Unit) -> str:
        """The name of the model of a unit."""
        return list(self.models)[unit.model]

    def family(self, unit: Unit) -> dict[str, Condition]:
        """The conditions of a unit by name."""
        named = list(self.conditions.items())
        return dict(named[place] for place in unit.family)

    def title(self, unit: Unit) -> str:
        """Model and conditions in a few words."""
        names = list(self.family(unit))
        return f"{self.model_of(unit)}, {names[0]}" + (f" and {len(names) - 1} more radii" if len(names) > 1 else "")

    def block_of(self, unit: Unit) -> Block:
        """The samples of a unit in the range of its model."""
        samples = self.plan.samples_of(unit.block)
        if self.part is None or self.part[0] != unit.block:
            self.part = None  # its memory is free before the next is read
            with located(f"samples {span(samples)}"):
                self.part = (unit.block, self.source.read(samples))
        part, estimator = self.part[1], self.models[self.model_of(unit)]
        x = in_range_of(estimator, part.x) if self.source.unit else part.x
        return Block(samples, x, part.y, part.names, self.seed, self.batch_size)

    def perform(self, unit: Unit) -> UnitResult:
        """Do a unit; with ever smaller batches where memory runs out.

        :raises EvaluationError: saying in which model, condition and samples something went wrong.
        """
        block, name, family = self.block_of(unit), self.model_of(unit), self.family(unit)
        keep = KEPT_SAMPLES if unit.block < KEPT_BLOCKS else 0
        with located(f"model {name!r}, {', '.join(family)}, samples {span(block.samples)}"):
            done = self.performer(
                self.models[name],
                tuple(family.values()),
                block,
                classes=self.classes,
                predictions=self.predictions[name],
                keep=keep,
            )
        return placed(done, unit, name, {condition.name: title for title, condition in family.items()})


def do_all(work: Work, finished: Finished, units: Iterator[Unit]) -> None:
    """Do units that are not finished yet, one after the other."""
    for unit in units:
        if not finished.has(unit):
            done = work.perform(unit)
            with located("the results cannot be written"):
                finished.put(unit, done)


def in_range_of(estimator: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images in [0, 1] in the range of an estimator, and in its layout."""
    values = getattr(estimator, "clip_values", None)
    shape = tuple(getattr(estimator, "input_shape", None) or ())
    if x.ndim == 4 and shape != x.shape[1:] and shape == (*x.shape[2:], x.shape[1]):
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    if values is None or not (np.any(np.asarray(values[0]) != 0) or np.any(np.asarray(values[1]) != 1)):
        return x
    ClipRange(values)  # refuses what is no range
    low, high = (np.asarray(value, dtype=np.float32) for value in values)
    moved: NDArray[np.float32] = x * (high - low) + low
    return moved


def span(samples: NDArray[np.int64]) -> str:
    """Some samples in words."""
    return f"{samples[0]} to {samples[-1]}" if len(samples) > 1 else f"{samples[0]}"

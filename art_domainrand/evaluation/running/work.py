"""The loop over the units: read a block, let a model meet it, note what it came to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from art_domainrand.core.arrays import from_array
from art_domainrand.core.checks import Text, check_pixels, clip_bounds, require
from art_domainrand.core.memory import is_out_of_memory
from art_domainrand.core.pixels import ClipRange
from art_domainrand.evaluation.conditions.kinds import Condition
from art_domainrand.evaluation.diagnose.diagnosis import Diagnosis
from art_domainrand.evaluation.outcomes import OUTCOME
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.errors import located
from art_domainrand.evaluation.running.plan import Plan, Unit
from art_domainrand.evaluation.sources.base import LabelledSource, ReadSamples
from art_domainrand.evaluation.storage.blocks import Finished, HasRows, UnitResult, placed
from art_domainrand.evaluation.storage.cost import Ledger

KEPT_BLOCKS, KEPT_SAMPLES = 2, 8
"""From how many blocks images are kept to be looked at, and how many for each condition."""

DoUnit = Callable[..., HasRows]
"""What :func:`art_domainrand.evaluation.running.perform.perform` is."""

DoDiagnosis = Callable[[str, Any, Block], Diagnosis]
"""From a model's name, the model and a few samples to what speaks against its figures."""


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
    :param do_unit: what does a unit.
    :param do_diagnosis: what diagnoses a model.
    """

    plan: Plan
    models: Mapping[str, Any]
    conditions: Mapping[str, Condition]
    source: LabelledSource
    classes: Sequence[str]
    predictions: Mapping[str, int]
    seed: int
    batch_size: int
    do_unit: DoUnit
    do_diagnosis: DoDiagnosis
    part: tuple[int, ReadSamples] | None = field(default=None, init=False)

    def model_of(self, unit: Unit) -> str:
        """The name of the model of a unit."""
        return list(self.models)[unit.model]

    def family(self, unit: Unit) -> dict[str, Condition]:
        """The conditions of a unit by name."""
        named = list(self.conditions.items())
        return dict(named[place] for place in unit.family)

    def title(self, unit: Unit) -> str:
        """The conditions of a unit in a few words."""
        names = list(self.family(unit))
        if not names:
            return "diagnosis"
        return (
            names[0]
            if len(names) == 1
            else f"{names[0]} and {len(names) - 1} more radi{'us' if len(names) == 2 else 'i'}"
        )

    def block_of(self, unit: Unit) -> Block:
        """The samples of a unit in the range of its model."""
        samples = self.plan.samples_of(unit.block)
        if self.part is None or self.part[0] != unit.block:
            self.part = None  # its memory is free before the next is read
            with located(f"data, samples {span(samples)}"):
                self.part = (unit.block, self.source.read(samples))
        part, name = self.part[1], self.model_of(unit)
        estimator = self.models[name]
        with located("data"):
            check_classes(part.y, samples, estimator, name)
            x = in_range_of(estimator, part.x) if self.source.unit else part.x
            check_range(x, estimator, samples)
        return Block(samples, x, part.y, part.names, self.seed, self.batch_size)

    def perform(self, unit: Unit) -> UnitResult:
        """Do a unit, with ever smaller batches where memory runs out.

        :raises EvaluationError: saying in which model, condition and samples something went wrong.
        """
        while True:
            found = self._attempt(unit, self.block_of(unit))
            if found is not None:
                return found
            # Outside the handler, where the traceback no longer holds on to the tensors that did not fit.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            warnings.warn(
                f"memory ran out with batches of {self.batch_size} images: going on with {self.batch_size // 2}",
                RuntimeWarning,
                stacklevel=2,
            )
            self.batch_size //= 2

    def _attempt(self, unit: Unit, block: Block) -> UnitResult | None:
        """What a unit comes to; None where memory runs out and a smaller batch may help."""
        name, family = self.model_of(unit), self.family(unit)
        with located(f"model {name!r}, {self.title(unit)}, samples {span(block.samples)}"):
            try:
                if not family:
                    return UnitResult(np.zeros(0, OUTCOME), (), self.do_diagnosis(name, self.models[name], block))
                done = self.do_unit(
                    self.models[name],
                    tuple(family.values()),
                    block,
                    classes=self.classes,
                    predictions=self.predictions[name],
                    keep=KEPT_SAMPLES if unit.block < KEPT_BLOCKS else 0,
                )
            except (RuntimeError, MemoryError) as error:
                full = isinstance(error, MemoryError) or is_out_of_memory(error)
                if not full or self.batch_size <= 1:
                    raise
                return None
        return placed(done, unit, name, {condition.name: title for title, condition in family.items()})


def do_all(work: Work, finished: Finished, units: Iterable[Unit], ledger: Ledger, say: Callable[[str], None]) -> None:
    """Do units that are not finished yet, one after the other.

    :param work: does one.
    :param finished: knows those that are finished.
    :param units: the units of this process.
    :param ledger: notes what they cost.
    :param say: is told what is being done.
    """
    for unit in units:
        model, title = work.model_of(unit), work.title(unit)
        say(f"{model}, {title}")
        if finished.has(unit):
            continue
        with ledger.noting(model, title):
            done = work.perform(unit)
        with located("the results cannot be written; what was written is kept"):
            finished.put(unit, done)
            ledger.keep()


def check_range(x: NDArray[np.float32], estimator: Any, samples: NDArray[np.int64]) -> None:
    """Refuse pixels that are not finite, or of 8 bits where others are taken; warn of some outside the range."""
    tensor = torch.from_numpy(x)
    bounds = clip_bounds(getattr(estimator, "clip_values", None), tuple(x.shape[1:]), tensor.device)
    said = check_pixels(tensor, *bounds)
    if said is not None:
        warnings.warn(f"the images of samples {span(samples)} should {said}", RuntimeWarning, stacklevel=2)


def in_range_of(estimator: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images in [0, 1] in the range of an estimator, and in its layout."""
    values = getattr(estimator, "clip_values", None)
    shape = tuple(getattr(estimator, "input_shape", None) or ())
    if x.ndim == 4 and shape != x.shape[1:] and shape == (*x.shape[2:], x.shape[1]):
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    if values is None or not (np.any(np.asarray(values[0]) != 0) or np.any(np.asarray(values[1]) != 1)):
        return x
    moved: NDArray[np.float32] = ClipRange(values).from_unit(from_array(x)).numpy()
    return moved


def check_classes(y: NDArray[np.int64], samples: NDArray[np.int64], estimator: Any, name: str) -> None:
    """Refuse labels that a model has no class for."""
    classes = max(2, int(getattr(estimator, "nb_classes", 0) or 0) or int(y.max(initial=0)) + 1)
    wrong = np.flatnonzero(y >= classes)
    got = Text(f"{y[wrong[:1]].tolist()} at sample {samples[wrong[0]]}" if len(wrong) else "")
    require(not len(wrong), "data", f"have labels below {classes}, the classes of model {name!r}", got)


def span(samples: NDArray[np.int64]) -> str:
    """Some samples in words."""
    return f"{samples[0]} to {samples[-1]}" if len(samples) > 1 else f"{samples[0]}"

"""What finished units leave: in memory, or on disk, where each is a file that is whole or not there."""

from __future__ import annotations

import re
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.checks import require
from art_domainrand.core.files import whole_file
from art_domainrand.evaluation.diagnose.diagnosis import Diagnosis
from art_domainrand.evaluation.evaluation import Sample
from art_domainrand.evaluation.outcomes import OUTCOME, completed
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.running.plan import Plan, Unit

LEFTOVER = re.compile(r"\.(\d{6}|manifest|outcomes|diagnoses|cost)-\w{8}\.(npz|json|csv)")
"""Names of the temporary files of :func:`~art_domainrand.core.files.whole_file` for ours."""

LOOK_AGAIN = 0.2
"""Seconds between two looks for a file."""

SAMPLE_TEXTS = [f.name for f in fields(Sample) if f.type == "str"]
"""The fields of a sample that are text."""


class HasRows(Protocol):
    """What came of a unit, with places of its own: see :class:`art_domainrand.evaluation.running.perform.Performed`."""

    @property
    def rows(self) -> NDArray[Any]:
        """Rows with the place of the condition in the family."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Samples kept to be looked at, without a model's name."""


@dataclass(frozen=True, eq=False)
class UnitResult:
    """What came of a unit, as it stands in the whole evaluation.

    :param rows: rows of the table, sorted.
    :param samples: images kept to be looked at.
    :param diagnosis: what speaks against the figures of the model, of a unit that looked for it.
    """

    rows: NDArray[Any]
    samples: tuple[Sample, ...] = ()
    diagnosis: Diagnosis | None = None


class Finished(ABC):
    """The results of the units that are finished."""

    @abstractmethod
    def has(self, unit: Unit) -> bool:
        """Whether the unit is finished."""

    @abstractmethod
    def put(self, unit: Unit, result: UnitResult) -> None:
        """Note what a unit came to."""

    @abstractmethod
    def rows(self, units: Iterable[Unit]) -> list[NDArray[Any]]:
        """The rows of units, which are all finished."""

    @abstractmethod
    def samples(self, units: Iterable[Unit]) -> tuple[Sample, ...]:
        """The samples that units have kept."""

    @abstractmethod
    def diagnoses(self, units: Iterable[Unit]) -> list[Diagnosis]:
        """The diagnoses of units that made one."""


class InMemory(Finished):
    """Results that nobody else sees."""

    def __init__(self) -> None:
        self.found: dict[int, UnitResult] = {}

    def has(self, unit: Unit) -> bool:
        return unit.number in self.found

    def put(self, unit: Unit, result: UnitResult) -> None:
        self.found[unit.number] = result

    def rows(self, units: Iterable[Unit]) -> list[NDArray[Any]]:
        return [self.found[unit.number].rows for unit in units]

    def samples(self, units: Iterable[Unit]) -> tuple[Sample, ...]:
        return tuple(sample for unit in units for sample in self.found[unit.number].samples)

    def diagnoses(self, units: Iterable[Unit]) -> list[Diagnosis]:
        found = (self.found[unit.number].diagnosis for unit in units)
        return [one for one in found if one is not None]


class OnDisk(Finished):
    """Results in the folders ``blocks`` and ``samples``.

    What another process has written, or was writing when it was killed, is looked at before it is believed.

    :param folder: the folder of the evaluation.
    :param plan: says which rows a unit must have.
    :param patience: seconds to wait for a file that another machine has written: network folders take a while.
    """

    def __init__(self, folder: Path, plan: Plan, patience: float = 0.0) -> None:
        self.folder, self.plan, self.patience = folder, plan, patience

    def has(self, unit: Unit) -> bool:
        if not unit.family:
            return read_diagnosis(diagnosis_path(self.folder, unit)) is not None
        rows = rows_in_file(block_path(self.folder, unit))
        return rows is not None and belong(rows, unit, self.plan)

    def put(self, unit: Unit, result: UnitResult) -> None:
        try:
            self._write(unit, result)
        except FileNotFoundError:  # another run that starts over this folder takes what is half written for a leftover
            self._write(unit, result)

    def _write(self, unit: Unit, result: UnitResult) -> None:
        if result.diagnosis is not None:
            result.diagnosis.save(diagnosis_path(self.folder, unit))
            return
        if result.samples:  # first: a unit counts as finished when its rows are there
            write_arrays(samples_path(self.folder, unit), columns_of(result.samples))
        write_arrays(block_path(self.folder, unit), {"rows": result.rows})

    def rows(self, units: Iterable[Unit]) -> list[NDArray[Any]]:
        return [self._rows_of(unit) for unit in units if unit.family]

    def _rows_of(self, unit: Unit) -> NDArray[Any]:
        path, until = block_path(self.folder, unit), time.monotonic() + self.patience
        while (found := rows_in_file(path)) is None:
            require(time.monotonic() < until, "a finished part", "be there to be read", str(path), EvaluationError)
            time.sleep(LOOK_AGAIN)
        return found

    def samples(self, units: Iterable[Unit]) -> tuple[Sample, ...]:
        return tuple(
            sample for unit in units if unit.family for sample in read_samples(samples_path(self.folder, unit))
        )

    def diagnoses(self, units: Iterable[Unit]) -> list[Diagnosis]:
        found = (read_diagnosis(diagnosis_path(self.folder, unit)) for unit in units if not unit.family)
        return [one for one in found if one is not None]


def read_diagnosis(path: Path) -> Diagnosis | None:
    """A diagnosis; None for one that is missing or broken."""
    try:
        return Diagnosis.load(path)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def diagnosis_path(folder: Path, unit: Unit) -> Path:
    """Where the diagnosis of a unit is."""
    return folder / "blocks" / f"{unit.number:06d}.json"


def remove_leftovers(folder: Path) -> None:
    """Remove what was being written when a process was killed."""
    for place in (folder, folder / "blocks", folder / "samples"):
        for path in place.glob(".*"):
            if LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)


def block_path(folder: Path, unit: Unit) -> Path:
    """Where the rows of a unit are."""
    return folder / "blocks" / f"{unit.number:06d}.npz"


def samples_path(folder: Path, unit: Unit) -> Path:
    """Where the samples that a unit has kept are."""
    return folder / "samples" / f"{unit.number:06d}.npz"


def placed(performed: HasRows, unit: Unit, model: str, titles: Mapping[str, str]) -> UnitResult:
    """What a unit came to, with its places in the whole evaluation; rows sorted.

    :param performed: what the conditions came to.
    :param unit: the unit.
    :param model: its model's name.
    :param titles: what the evaluation calls a condition, by the name that this gives itself.
    """
    rows = performed.rows.copy()
    rows["model"] = unit.model
    rows["condition"] = np.asarray(unit.family, np.int32)[rows["condition"]]
    samples = tuple(replace(one, model=model, condition=titles[one.condition]) for one in performed.samples)
    rows = rows[np.lexsort((rows["draw"], rows["sample"], rows["condition"]))]
    return UnitResult(rows, samples)


def belong(rows: NDArray[Any], unit: Unit, plan: Plan) -> bool:
    """Whether rows are those of a unit: every condition of its family on every sample of its block, nothing else."""
    if rows.dtype != OUTCOME or rows.ndim != 1:
        return False
    samples = plan.samples_of(unit.block)
    first = rows[rows["draw"] == 0]
    pairs = set(zip(first["condition"].tolist(), first["sample"].tolist(), strict=True))
    wanted = {(condition, sample) for condition in unit.family for sample in samples.tolist()}
    return bool((rows["model"] == unit.model).all()) and pairs == wanted


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an NPZ file without pickles, the same bytes for the same arrays, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file; none for one that is missing, broken or holds pickles."""
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except (FileNotFoundError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return {}


def rows_in_file(path: Path) -> NDArray[Any] | None:
    """The rows of a finished unit, also of an older version's; None where there are none."""
    rows = read_arrays(path).get("rows")
    return None if rows is None else completed(rows)


def columns_of(samples: Iterable[Sample]) -> dict[str, NDArray[Any]]:
    """Samples as one array for each field, images of one shape each."""
    rows = [astuple(sample) for sample in samples]
    names = [f.name for f in fields(Sample)]
    return {
        name: np.stack([np.asarray(value) for value in column])
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def read_samples(path: Path) -> tuple[Sample, ...]:
    """The samples of a file; none for one that is missing or broken."""
    columns = read_arrays(path)
    names = [f.name for f in fields(Sample)]
    if set(columns) != set(names):
        return ()
    found = []
    for values in zip(*(columns[name] for name in names), strict=True):
        own = dict(zip(names, values, strict=True))
        own |= {name: str(own[name]) for name in SAMPLE_TEXTS} | {"sample": int(own["sample"])}
        found.append(Sample(**own))
    return tuple(found)

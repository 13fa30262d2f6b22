"""An evaluation in a folder: laid out, and read again."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from art_domainrand.core.checks import require
from art_domainrand.core.files import whole_file
from art_domainrand.evaluation.conditions.documents import from_record
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import OUTCOME, Outcomes
from art_domainrand.evaluation.running.errors import EvaluationError, NoEvaluationError, located
from art_domainrand.evaluation.running.plan import Plan, chosen_samples
from art_domainrand.evaluation.storage.blocks import OnDisk, block_path
from art_domainrand.evaluation.storage.manifest import MANIFEST_FILE, read_manifest, write_json

OUTCOMES, DIAGNOSES, COST = "outcomes.csv", "diagnoses.json", "cost.json"

ROWS_AT_A_TIME = 1 << 16
"""How many rows of the table are made text at a time."""
WRITTEN = (MANIFEST_FILE, OUTCOMES, DIAGNOSES, COST, "blocks/*.npz", "blocks/*.json", "samples/*.npz", "cost/*.jsonl")
"""What a run writes into its folder."""


def load_evaluation(folder: str | Path) -> Evaluation:
    """Read the evaluation that a finished run has left in a folder.

    A condition that was a function is there by its name only.

    :param folder: what ``out`` was.
    :raises NoEvaluationError: for a folder that holds none; an EvaluationError and a ValueError.
    :raises EvaluationError: for one that is not finished.
    """
    path = Path(folder).expanduser()
    manifest = read_manifest(path)
    if manifest is None:
        raise NoEvaluationError(f"{path} holds no evaluation: there is no {MANIFEST_FILE}")
    with located(f"{path} cannot be read"):
        return assembled(path, manifest)


def assembled(path: Path, manifest: Mapping[str, Any]) -> Evaluation:
    """The evaluation of a folder and its manifest; whatever error where they have been tampered with."""
    conditions = {name: from_record(one, f"conditions.{name}") for name, one in manifest["conditions"].items()}
    plan = recorded_plan(manifest)
    finished, units = OnDisk(path, plan), plan.units
    missing = [unit for unit in units if not finished.has(unit)]
    if missing:
        raise EvaluationError(
            f"{path} holds an evaluation that is not finished: {len(missing)} of {len(units)} parts are missing, such "
            f"as {block_path(path, missing[0]).name}; run it again with the same arguments to go on"
        )
    models, classes = list(manifest["models"]), manifest["data"]["classes"]
    table = Outcomes.joined(finished.rows(units), models, list(conditions), classes)
    found = finished.diagnoses(units)
    diagnoses = dict(zip(models, found, strict=bool(found)))
    return Evaluation(table, conditions, manifest, diagnoses, finished.samples(units), read_json(path / COST, "cost"))


def remove_evaluation(folder: Path) -> None:
    """Remove what a run has left in a folder, and nothing else.

    :param folder: what ``out`` was; nothing happens where it holds no evaluation.
    """
    if (folder / MANIFEST_FILE).is_file():
        for pattern in WRITTEN:
            for path in folder.glob(pattern):
                path.unlink()


def recorded_plan(manifest: Mapping[str, Any]) -> Plan:
    """The plan that a manifest describes."""
    data = manifest["data"]
    families = tuple(tuple(family) for family in manifest["families"])
    require(0 < data["n"] <= data["of"], "data.n", f"be from 1 to data.of, {data['of']}", data["n"])
    samples = chosen_samples(data["of"], data["n"], manifest["seed"])
    return Plan(samples, manifest["block_size"], len(manifest["models"]), families, manifest["diagnosed"])


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object; an empty one where there is no file."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise EvaluationError(f"{path} holds no {what}: {error}") from None


def save_tables(evaluation: Evaluation, folder: Path) -> None:
    """Write ``outcomes.csv``, ``diagnoses.json`` and ``cost.json``."""
    write_csv(evaluation.outcomes, folder / OUTCOMES)
    write_json(folder / DIAGNOSES, {name: json.loads(one.to_json()) for name, one in evaluation.diagnoses.items()})
    write_json(folder / COST, dict(evaluation.cost))


def write_csv(outcomes: Outcomes, path: Path) -> None:
    """Write the table with names in place of numbers, a row for each outcome; floats so that they read back exactly."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(OUTCOME.names or ())
        for start in range(0, len(outcomes), ROWS_AT_A_TIME):
            columns = texts_of(outcomes, outcomes.rows[start : start + ROWS_AT_A_TIME])
            writer.writerows(zip(*columns, strict=True))


def texts_of(outcomes: Outcomes, rows: NDArray[Any]) -> list[list[Any]]:
    """Some rows column by column, as they are written."""
    names = {
        "model": outcomes.models,
        "condition": outcomes.conditions,
        "label": outcomes.classes,
        "predicted": outcomes.classes,
    }
    columns = []
    for field in OUTCOME.names or ():
        values = rows[field]
        if field in names:
            columns.append([named_by(names[field], place) for place in values.tolist()])
        else:
            # As text a float32 has as many digits as tell it from its neighbours.
            columns.append((values.astype(int) if values.dtype == bool else values.astype(str)).tolist())
    return columns


def named_by(names: tuple[str, ...], place: int) -> str:
    """The name at a place, or the place itself where it has none."""
    return names[place] if 0 <= place < len(names) else str(place)

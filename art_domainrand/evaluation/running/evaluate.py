"""One call from models, conditions and data to an evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.checks import Text, check_counts, require
from art_domainrand.core.environment import environment
from art_domainrand.core.files import check_folder
from art_domainrand.core.random import checked_seed
from art_domainrand.evaluation.conditions.documents import to_document
from art_domainrand.evaluation.conditions.kinds import Condition
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.folder import save_tables
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.run import accuracy_rows
from art_domainrand.evaluation.running.blocks import Finished, InMemory, OnDisk
from art_domainrand.evaluation.running.judge import is_random_model
from art_domainrand.evaluation.running.manifest import (
    MANIFEST_FILE,
    SCHEMA,
    check_same,
    fingerprint,
    read_manifest,
    write_json,
)
from art_domainrand.evaluation.running.naming import named_conditions, named_models
from art_domainrand.evaluation.running.perform import perform
from art_domainrand.evaluation.running.plan import (
    Plan,
    batch_size_of,
    block_size_of,
    chosen_samples,
    families_of,
)
from art_domainrand.evaluation.running.work import Work, do_all, in_range_of
from art_domainrand.evaluation.sources import LabelledSource, open_data

RANDOM_PREDICTIONS = 10
"""How often a random model is asked of an image."""

FIRST_LOOK = 8
"""Of how many images a model is asked before it starts."""


@suggesting_names
def evaluate(
    models: Any,
    conditions: Any,
    data: Any,
    y: Any = None,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    batch_size: int | str = "auto",
    device: str | None = None,
    limit: int | None = None,
    diagnosed: bool = True,
    verbose: bool = False,
    command: str | None = None,
) -> Evaluation:
    """Judge every model in every condition on every sample.

    :param models: an ART estimator, or several by name.
    :param conditions: conditions by name, a sequence of them, or the name of a preset; a function of estimator, images
        and class indices that returns the images to be judged is one, too.
    :param data: arrays (x, y), :class:`~art_domainrand.data.LabelledImages`, a Dataset, a DataLoader, or a name such as
        "digits".
    :param y: labels of ``data``, as they were given before there was a table: the result is then that of
        :func:`~art_domainrand.evaluation.accuracy_rows`, with a DeprecationWarning.
    :param out: a folder for the results. A run that was stopped goes on there.
    :param seed: an int >= 0, which determines everything that is drawn.
    :param batch_size: how many images a model is shown at a time; "auto" takes a block, halved where memory runs out.
    :param device: where PyTorch models run; None leaves them where they are.
    :param limit: how many samples are judged at most, a choice that the seed determines.
    :param diagnosed: look for what speaks against the figures, see :func:`~art_domainrand.diagnose`.
    :param verbose: show progress.
    :param command: the command that this was asked for by, for the manifest.
    :raises ValueError, TypeError: for arguments that make no sense, naming what to write.
    :raises EvaluationError: for what goes wrong on the way; what is finished is kept in ``out``.
    """
    if y is not None:
        rows: Any = as_before(models, conditions, data, y, verbose)
        return rows  # type: ignore[no-any-return]
    estimators = named_models(models)
    named = named_conditions(conditions, of_preset)
    source = open_data(data)
    seed = checked_seed(seed)
    auto = batch_size == "auto"
    require(auto or not isinstance(batch_size, str), "batch_size", 'be an int >= 1 or "auto"', batch_size)
    check_counts(**({} if auto else {"batch_size": batch_size}), **({} if limit is None else {"limit": limit}))
    require(limit is None or limit > 0, "limit", "be None or >= 1", limit)
    folder = None if out is None else check_folder("out", out)
    plan = Plan(
        chosen_samples(len(source), limit, seed),
        block_size_of(int(np.prod(source.shape))),
        len(estimators),
        families_of(list(named.values())),
    )
    classes = class_names(source, estimators)
    probe = source.read(plan.samples[:FIRST_LOOK])
    seen = {name: in_range_of(e, probe.x) if source.unit else probe.x for name, e in estimators.items()}
    random = {name: is_random_model(e, seen[name]) for name, e in estimators.items()}
    predictions = {name: RANDOM_PREDICTIONS if random[name] else 1 for name in estimators}
    where = device or "cpu"
    size = batch_size_of(int(np.prod(source.shape)), plan.block_size, where) if auto else int(batch_size)
    manifest = {
        "schema": SCHEMA,
        "models": {
            name: {"kind": type(e).__name__, "weights": fingerprint(e, seen[name])} for name, e in estimators.items()
        },
        "conditions": {name: to_document(condition) for name, condition in named.items()},
        "families": [list(family) for family in plan.families],
        "data": {
            "name": source.name,
            "n": len(plan.samples),
            "of": len(source),
            "shape": list(source.shape),
            "classes": list(classes),
            "digest": source.digest(),
        },
        "seed": seed,
        "block_size": plan.block_size,
        "batch_size": size,
        "predictions": predictions,
        "diagnosed": diagnosed,
        "command": command,
        **environment(where),
    }
    finished: Finished = InMemory()
    if folder is not None:
        old = read_manifest(folder)
        if old is None:
            write_json(folder / MANIFEST_FILE, manifest)
        else:
            check_same(old, manifest, folder)
            manifest = old
        finished = OnDisk(folder, plan)
    work = Work(plan, estimators, named, source, classes, predictions, seed, size, perform)
    do_all(work, finished, iter(plan.units))
    table = Outcomes.joined(finished.rows(plan.units), list(estimators), list(named), classes)
    evaluation = Evaluation(table, named, manifest, samples=finished.samples(plan.units))
    if folder is not None:
        save_tables(evaluation, folder)
    return evaluation


def as_before(models: Any, conditions: Any, x: Any, y: Any, verbose: bool) -> Any:
    """What ``evaluate(models, cells, x, y)`` came to before there was a table."""
    values = conditions.values() if isinstance(conditions, Mapping) else ()
    new = any(isinstance(value, Condition) for value in values)
    require(
        not new, "data", "hold the labels, too", Text("them by themselves; write evaluate(models, conditions, (x, y))")
    )
    warnings.warn(
        "evaluate(models, cells, x, y) returns rows alone; write evaluate(models, conditions, (x, y)) for the whole "
        "table, or accuracy_rows(models, cells, x, y)",
        DeprecationWarning,
        stacklevel=4,
    )
    return accuracy_rows(models, conditions, x, y, verbose=verbose)


def class_names(source: LabelledSource, estimators: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of all classes that a label or a prediction may be of."""
    most = max([2, *(int(getattr(e, "nb_classes", 0) or 0) for e in estimators.values())])
    known = source.classes or ()
    return (*known, *(str(k) for k in range(len(known), most)))


def of_preset(name: str) -> Sequence[Condition]:
    """The conditions that a preset stands for."""
    from art_domainrand.evaluation.conditions.presets import preset_conditions

    found: Sequence[Condition] = preset_conditions(name)
    return found

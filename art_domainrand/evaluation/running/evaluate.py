"""One call from models, conditions and data to an evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.checks import Text, check_counts, check_flags, require
from art_domainrand.core.files import check_folder
from art_domainrand.core.random import checked_seed
from art_domainrand.estimators.moving import on_device
from art_domainrand.evaluation.conditions.kinds import Condition
from art_domainrand.evaluation.conditions.presets import preset_conditions
from art_domainrand.evaluation.diagnose.diagnose import diagnose
from art_domainrand.evaluation.diagnose.diagnosis import Diagnosis
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.folder import save_tables
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.run import accuracy_rows
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.diagnosing import largest_radius, without_diagnosis
from art_domainrand.evaluation.running.errors import first_line, located
from art_domainrand.evaluation.running.judge import is_random_model
from art_domainrand.evaluation.running.naming import named_conditions, named_models
from art_domainrand.evaluation.running.perform import check_performable, perform
from art_domainrand.evaluation.running.preparing import Asked, agreed, manifest_of, so_many_threads
from art_domainrand.evaluation.running.sharding import Claims, chunks_of, claims_of_environment, local_device
from art_domainrand.evaluation.running.work import Work, do_all
from art_domainrand.evaluation.sources import LabelledSource, open_data
from art_domainrand.evaluation.storage.blocks import Finished, InMemory, OnDisk, remove_leftovers
from art_domainrand.evaluation.storage.cost import Ledger
from art_domainrand.evaluation.storage.manifest import read_manifest

DIAGNOSIS_BATCH = 32
"""How many images a diagnosis shows a model at a time."""


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

    What comes out is a function of the arguments: batches, processes, and where a run was stopped do not count. (Of a
    model that draws from the global generators ``batch_size`` is one of the arguments: it draws for a batch at once.)
    Started by ``torchrun`` with ``out``, processes share the work, and each returns the whole.

    :param models: an ART estimator, or several by name.
    :param conditions: conditions by name, a sequence of them, or the name of a preset; a function of estimator, images
        and class indices that returns the images to be judged is one, too.
    :param data: arrays (x, y), :class:`~art_domainrand.data.LabelledImages`, a Dataset, a DataLoader, or a name such as
        "digits": see :func:`~art_domainrand.evaluation.open_data`.
    :param y: labels of ``data``, as they were given before there was a table: the result is then that of
        :func:`~art_domainrand.evaluation.accuracy_rows`, with a DeprecationWarning.
    :param out: a folder for the results. A run that was stopped goes on there.
    :param seed: an int >= 0, which determines everything that is drawn.
    :param batch_size: how many images a model is shown at a time; "auto" takes a block, fewer large ones on a CPU. It
        is halved where memory runs out.
    :param device: where PyTorch models run, such as "cuda"; None leaves them where they are.
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
    auto = batch_size == "auto"
    require(auto or not isinstance(batch_size, str), "batch_size", 'be an int >= 1 or "auto"', batch_size)
    check_counts(**({} if auto else {"batch_size": batch_size}), **({} if limit is None else {"limit": limit}))
    require(limit is None or limit > 0, "limit", "be None or >= 1", limit)
    check_flags(diagnosed=diagnosed, verbose=verbose)
    check_device(device)
    estimators = named_models(models)
    folder = None if out is None else check_folder("out", out)
    source, size = open_data(data, shape=image_shape(estimators)), None if auto else int(batch_size)
    named = named_conditions(conditions, lambda name: usual_conditions(name, source, estimators))
    for condition in named.values():
        check_performable(condition)
    warn_of_outputs(estimators, source)
    claims = claims_of_environment(shared=folder is not None)
    device = local_device(device, claims, torch.cuda.device_count())
    asked = Asked(estimators, named, source, checked_seed(seed), size, device, limit, diagnosed, command)
    with telling(claims):
        return run(asked, folder, claims, verbose)


def run(asked: Asked, folder: Path | None, claims: Claims, verbose: bool) -> Evaluation:
    """The part of this process in an evaluation, and the whole when all parts are there."""
    with ExitStack() as stack:
        if claims.rank:
            claims.begin()
        elif folder is not None:
            remove_leftovers(folder)
        old = None if folder is None else read_manifest(folder)
        with located(f"{folder} cannot be read"):
            threads = int(old["threads"]) if old else torch.get_num_threads()
        stack.enter_context(so_many_threads(threads))
        for estimator in asked.models.values():
            stack.enter_context(on_device(estimator, asked.device))
        with located("data"):
            plan = asked.plan()
        manifest = agreed(manifest_of(asked, plan, is_random_model), old, folder)
        if not claims.rank:
            claims.begin()
        finished: Finished = InMemory() if folder is None else OnDisk(folder, plan, claims.patience)
        ledger, work = Ledger(folder, claims.rank), work_of(asked, plan, manifest)
        with progress(claims, len(plan.units), verbose) as say:
            units = claims.claimed(chunks_of(plan.units, plan.blocks, claims.world_size))
            do_all(work, finished, units, ledger, say)
            claims.wait(len(plan.units))
    with located("the results cannot be put together"):
        table = Outcomes.joined(finished.rows(plan.units), list(asked.models), list(asked.conditions), asked.classes)
        kept, found = finished.samples(plan.units), finished.diagnoses(plan.units)
        diagnoses = dict(zip(asked.models, found, strict=bool(found)))
        evaluation = Evaluation(table, asked.conditions, manifest, diagnoses, kept, ledger.total())
        if folder is not None and not claims.rank:
            save_tables(evaluation, folder)
    return evaluation


def work_of(asked: Asked, plan: Any, manifest: Mapping[str, Any]) -> Work:
    """What does the units."""

    def look(name: str, estimator: Any, block: Block) -> Diagnosis:
        eps = largest_radius(asked.conditions.values(), estimator)
        size = min(DIAGNOSIS_BATCH, block.batch_size)
        try:
            return diagnose(estimator, block.x, block.y, eps=eps, batch_size=size, seed=block.seed, name=name)
        except Exception as error:  # a run is not lost for its diagnosis: what failed becomes a finding on the page
            return without_diagnosis(first_line(error))

    size = asked.batch_size or int(manifest["batch_size"])
    predictions = manifest["predictions"]
    return Work(
        plan,
        asked.models,
        asked.conditions,
        asked.source,
        asked.classes,
        predictions,
        asked.seed,
        size,
        perform,
        look,
    )


def warn_of_outputs(estimators: Mapping[str, Any], source: LabelledSource) -> None:
    """Say so where a model has more outputs than the data have classes: which is which is then a matter of order."""
    known = source.classes or ()
    for name, estimator in estimators.items():
        outputs = int(getattr(estimator, "nb_classes", 0) or 0)
        if 0 < len(known) < outputs and len(known) > 1:
            few = ", ".join(known[:3]) + (", ..." if len(known) > 3 else "")
            warnings.warn(
                f"{name} has {outputs} outputs and the data {len(known)} classes: {few} are taken as its outputs 0 to "
                f"{len(known) - 1}",
                UserWarning,
                stacklevel=4,
            )


@contextmanager
def telling(claims: Claims) -> Iterator[None]:
    """Other processes are told if this one cannot go on, and nobody is left waiting."""
    try:
        yield
    except BaseException as error:
        claims.fail(first_line(error))
        raise
    finally:
        claims.leave()


@contextmanager
def progress(claims: Claims, units: int, verbose: bool) -> Iterator[Callable[[str], None]]:
    """A bar with the time that is left, if it is asked for; what it is told stands beside it."""
    with tqdm(total=units, desc="evaluating", unit="part", disable=not verbose or claims.rank > 0) as bar:

        def say(words: str) -> None:
            if not bar.disable:
                bar.n = claims.done()
                bar.set_postfix_str(words)

        yield say
        say("")


def as_before(models: Any, conditions: Any, x: Any, y: Any, verbose: bool) -> Any:
    """What ``evaluate(models, cells, x, y)`` came to before there was a table."""
    values = conditions.values() if isinstance(conditions, Mapping) else ()
    new = any(isinstance(value, Condition) for value in values)
    got = Text("labels of their own; write evaluate(models, conditions, (x, y))")
    require(not new, "data", "hold images and labels", got, TypeError)
    warnings.warn(
        "evaluate(models, cells, x, y) returns rows alone; write evaluate(models, conditions, (x, y)) for the whole "
        "table, or accuracy_rows(models, cells, x, y)",
        DeprecationWarning,
        stacklevel=4,
    )
    return accuracy_rows(models, conditions, x, y, verbose=verbose)


def image_shape(estimators: Mapping[str, Any]) -> tuple[int, ...] | None:
    """(C, H, W) of what the first model takes, if it says; its channels may come last."""
    shape = tuple(getattr(next(iter(estimators.values())), "input_shape", None) or ())
    if len(shape) != 3:
        return None
    last = shape[0] not in (1, 3) and shape[-1] in (1, 3)
    return (shape[-1], *shape[:-1]) if last else shape


def check_device(device: Any) -> None:
    """Refuse what torch knows no device by, and a GPU where there is none."""
    try:
        kind = None if device is None else torch.device(device).type
    except (RuntimeError, TypeError):
        kind = ""
    require(kind != "", "device", 'be None or a device of torch, such as "cpu" or "cuda:0"', device)
    require(kind != "cuda" or torch.cuda.is_available(), "device", "be one that this machine has", device)


def usual_conditions(name: str, source: LabelledSource, estimators: Mapping[str, Any]) -> Sequence[Condition]:
    """The conditions of a preset for these images."""
    values = getattr(next(iter(estimators.values())), "clip_values", None)
    width = 1.0 if values is None else float(np.max(np.subtract(values[1], values[0])))
    return preset_conditions(name, channels=min(source.shape[0], source.shape[-1]), width=width)

"""The loop over epochs: measured, saved, resumed, shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.core.files import check_folder
from art_domainrand.training.data.epochs import Samples
from art_domainrand.training.trainer import checkpoint
from art_domainrand.training.trainer.distributed import barrier, broadcast_object, rank_and_world_size
from art_domainrand.training.trainer.run import TrainingRun
from art_domainrand.training.trainer.scalars import Scalars

SHOWN = ("loss", "clean", "robust", "shift")
"""What the progress bar says of an epoch."""

History = list[dict[str, float]]


@dataclass(frozen=True)
class TrainingData:
    """What a run is fed.

    :param batches: an epoch's number and seed -> its batches, of each the rows of this process.
    :param steps: how many batches an epoch has.
    :param size: what a resumed run must have alike: ``images`` of an epoch and ``batch_size``.
    :param watched: some of the images and their class indices, known once there was an epoch.
    """

    batches: Callable[[int, int], Iterator[Samples]]
    steps: int
    size: dict[str, int]
    watched: Callable[[], tuple[Tensor, Tensor]]


def run_epochs(
    run: TrainingRun,
    data: TrainingData,
    nb_epochs: int,
    history: History,
    measure: Callable[[dict[str, float]], dict[str, float]],
    settings: dict[str, Any],
) -> None:
    """Train until ``history`` (empty at first) has ``nb_epochs`` rows; the weights of the best epoch are kept.

    :param measure: what the training tells of an epoch -> what is measured of it besides. Among epochs with a
        "robust" accuracy the best one is kept, among others the last.
    :param settings: what a run must have alike to be resumed.
    """
    options, rank = run.options, rank_and_world_size()[0]
    folder = None if options.checkpoint is None else check_folder("checkpoint", options.checkpoint)
    scalars = Scalars(options.log_dir) if options.log_dir is not None and rank == 0 else nullcontext(None)
    hide = not (options.verbose and rank == 0)
    with scalars as writer, run.opened(), tqdm(total=nb_epochs, desc="epochs", disable=hide) as bar:
        history.extend(resume(run, folder, settings))
        bar.update(len(history))
        for epoch in range(len(history), nb_epochs):
            row = run.epoch(epoch, data.batches(epoch, run.epoch_seed(epoch)))
            with run.averaged():
                # Measured once: processes that measure on their own could disagree in the last bit.
                row |= broadcast_object(measure(row) if rank == 0 else None)
                history.append(row)
                best = "robust" not in row or row["robust"] >= max(r["robust"] for r in history)
                if best:
                    run.keep_best()
            if folder is not None:
                save_epoch(run, folder, settings, history, best=best)
            if writer is not None:
                writer.write(epoch, row)
            bar.update()
            bar.set_postfix({name: f"{row[name]:.3f}" for name in SHOWN if name in row})
        run.load_best()


def save_epoch(run: TrainingRun, folder: Path, settings: dict[str, Any], history: History, *, best: bool) -> None:
    """Write the checkpoint, the best weights first: a run stopped in between makes them again."""
    state = run.state()
    if run.rank == 0:
        if best:
            row = history[-1]
            checkpoint.save(folder, checkpoint.BEST, {"settings": settings, "model": run.best, "row": row})
        checkpoint.save(folder, checkpoint.LAST, {"settings": settings, "history": history} | state)
    barrier()


def resume(run: TrainingRun, folder: Path | None, settings: dict[str, Any]) -> History:
    """Go on from the last checkpoint in ``folder``, if there is one; the epochs that were trained."""
    barrier()
    state = None if folder is None else checkpoint.load(folder, checkpoint.LAST, settings, run.device)
    if state is None:
        return []
    run.load(state)
    history: History = state["history"]
    return history

"""Training in two processes: ``distributed_run.py FOLDER`` runs them twice, and one of the first two is killed."""

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from art_domainrand import DomainRandomization
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.training.data.epochs import SampleKeys, Samples
from art_domainrand.training.trainer import checkpoint
from art_domainrand.training.trainer.distributed import Shard

from support.estimators import cnn
from support.processes import forks_may_die, torchrun
from support.trainer import corners, trainable, trainer_of, weights, with_dropout, with_norm

IMAGES, BATCH, EPOCHS = 35, 16, 3  # the last batch of 3 is two images and one; a batch of 1 is tried below
SHIFT = R.Pipeline([R.Brightness((-0.1, 0.1)), R.GaussianNoise((0.0, 0.05))])


def train(objective: str = "trades", *, model=None, n: int = IMAGES, epochs: int = EPOCHS, seed: int = 0, **options):
    """Without random starts and batch normalization: what it comes to depends on the global batches alone."""
    classifier = trainable(cnn() if model is None else model)
    options = {"randomization": SHIFT, "ema": 0.5, "clip_norm": 1.0, "seed": seed} | options
    trainer = trainer_of(classifier, objective=objective, starts=0, **options)
    x, y = corners(n)
    trainer.fit(x, y, batch_size=BATCH, nb_epochs=epochs, validation_data=(x[:16], y[:16]))
    return {"weights": weights(classifier), "history": trainer.history}


def several() -> dict:
    """Objectives and options whose result must not depend on the number of processes."""
    return {
        "trades": train(),
        "standard": train("standard", n=32),
        "awp": train("madry", awp=0.01),
        "free": train("free", replays=2),
        "ranges": train("madry", automatic_ranges=True),
        "adversarial": train("madry", ranges="adversarial"),
        "meta": train("madry", ranges="meta"),
        "one image left": train("madry", n=33, epochs=1),
    }


def own_draws(rank: int, world_size: int) -> dict:
    """What this process draws: starts of the attack, noise of the pipeline and of the classifier, units dropped."""
    own = DomainRandomization([R.GaussianNoise((0.1, 0.1))], seed=0, clip=None)
    noisy, plain_forward = [], own.forward
    own.forward = lambda x, y=None: noisy.append(plain_forward(x, y)[0] - x) or (x, y)
    classifier = trainable(with_dropout(), rate=1e-9, preprocessing_defences=[own])
    trainer = trainer_of(classifier, randomization=[R.GaussianNoise((0.1, 0.1))], objective="madry")
    run = trainer._run(steps=1, nb_epochs=1)
    seen = {}

    def note_input(layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.setdefault("train" if layer.training else "start", inputs[0].detach().clone())

    def note_output(layer: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        if layer.training:
            seen.setdefault("kept", out != 0)

    classifier.model[0].register_forward_pre_hook(note_input)
    classifier.model[4].register_forward_hook(note_output)
    randomized = []
    view = run.views.randomization
    view.randomize, plain = lambda x, d: randomized.append(plain(x, d)) or randomized[-1], view.randomize
    rows = Shard.of(8, rank, world_size).rows
    images, labels = torch.full((len(rows), 1, 8, 8), 0.5), torch.zeros(len(rows), dtype=torch.int64)
    samples = Samples(SampleKeys.counted(0, 8), rows, images, labels)
    with run.opened():
        run.epoch(0, [samples])
    return {"start": seen["start"] - randomized[0], "noise": randomized[0] - 0.5, "kept": seen["kept"], "own": noisy[0]}


def with_death(folder: Path, rank: int, *, dying: bool) -> dict:
    """Random starts, dropout and a checkpoint; with ``dying`` the second process is killed in the third epoch."""
    classifier = trainable(with_dropout())
    if dying and rank == 1:
        passes: list[int] = []

        def die(module: torch.nn.Module, _: object) -> None:
            passes.append(1) if module.training else None
            if len(passes) == 2 * 3 + 2:
                os.kill(os.getpid(), signal.SIGKILL)

        classifier.model.register_forward_pre_hook(die)
    place = folder / "checkpoint"
    options = {"objective": "madry", "randomization": SHIFT, "ema": 0.5, "checkpoint": place, "log_dir": folder / "log"}
    trainer = trainer_of(classifier, **options)
    x, y = corners(IMAGES)
    writes: list[str] = []
    save = checkpoint.save

    def counted(folder: Path, name: str, state: dict) -> None:
        writes.append(name)
        save(folder, name, state)

    checkpoint.save = counted
    trainer.fit(x, y, batch_size=BATCH, nb_epochs=EPOCHS, validation_data=(x[:16], y[:16]))
    checkpoint.save = save
    return {"weights": weights(classifier), "history": trainer.history, "writes": writes}


def generated(rank: int) -> dict:
    """Batches of a generator that would draw others in every process."""
    from art.data_generators import NumpyDataGenerator

    classifier = trainable()
    trainer = trainer_of(classifier, objective="madry", starts=0)
    x, y = corners(32, seed=rank)
    trainer.fit_generator(NumpyDataGenerator(x, y, batch_size=BATCH, shuffle=True), nb_epochs=1)
    return {"weights": weights(classifier), "history": trainer.history}


def take_part(folder: Path, dying: bool) -> None:
    """Be one of the processes, and leave what it found in a file."""
    distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank = distributed.get_rank()
    if dying:
        with_death(folder, rank, dying=True)
    found = several() | {"draws": own_draws(rank, 2), "generator": generated(rank)}
    found["norm"] = train("madry", model=with_norm(), epochs=1, ema=0.0)
    found |= {"resumed": with_death(folder, rank, dying=False), "run": with_death(folder / "whole", rank, dying=False)}
    torch.save(found, folder / f"rank{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


def main(folder: Path) -> None:
    """Print how the run ended in which a process was killed, how long that took, and how far it had come."""
    forks_may_die()
    begin = time.monotonic()
    said = torchrun(2, take_part, folder, True)
    seconds = time.monotonic() - begin
    left = [path.name for path in folder.glob("rank*.pt")]
    epochs = len(torch.load(folder / "checkpoint" / "last.pt", weights_only=True)["history"])
    failure = torchrun(2, take_part, folder, False)
    print(json.dumps({"said": said, "seconds": seconds, "left": left, "epochs": epochs, "failure": failure}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))

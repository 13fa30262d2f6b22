"""A small evaluation that tests stop and share out; as a program one that is shared, killed and measured.

``evaluation_run.py FOLDER`` does :func:`share`, :func:`kill` and :func:`memory`, and prints what each found.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.running import evaluate as running
from art_domainrand.evaluation.running import plan
from art_domainrand.evaluation.storage.cost import peak_memory

from support.processes import forks_may_die, torchrun

CONDITIONS = {"clean": Clean(), "large": Attacked("pgd", 0.1), "small": Attacked("pgd", 0.05)}
QUICK = {"clean": Clean(), "dark": lambda estimator, x, y: x / 2}
SAMPLES, BLOCK = 30, 8
DIES_AT = 4
"""The unit at which the first process to get so far is killed: of 18 in three processes some one gets there."""
KILLS = 30
SIDE, FEW, MANY = 224, 192, 768
"""Pixels, and how many images: a block is 64 of them."""


def models():
    """Two linear models."""
    found = {}
    for name, seed in (("one", 1), ("two", 2)):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        options = {"clip_values": (0, 1), "device_type": "cpu"}
        found[name] = PyTorchClassifier(net, nn.CrossEntropyLoss(), (1, 4, 4), 3, **options)
    return found


def data():
    """Random images."""
    rng = np.random.default_rng(0)
    return rng.random((SAMPLES, 1, 4, 4), dtype=np.float32), rng.integers(0, 3, SAMPLES)


def small_evaluation(folder, conditions=CONDITIONS, **options):
    """Two models, three conditions, four blocks, and a diagnosis of each model."""
    plan.BLOCK_SIZE, size = BLOCK, plan.BLOCK_SIZE
    try:
        return running.evaluate(models(), conditions, data(), out=folder, **options)
    finally:
        plan.BLOCK_SIZE = size


def contents(folder):
    """The bytes of everything that is a function of the arguments alone."""
    paths = [p for p in sorted(Path(folder).rglob("*")) if p.is_file() and not p.name.startswith("cost")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.parent.name != "cost"}


class Countdown:
    """Kills this process at a call of a function, Python's or C's: a moment that is the same on every machine."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self, frame, event, argument):
        self.left -= event in ("call", "c_call")
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def take_part(folder, units=0):
    """Be one of several processes of an evaluation; the first that would begin so many units is killed there."""
    if units:
        plain, left = running.perform, [units]

        def performed(*args, **options):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(*args, **options)

        running.perform = performed
    evaluation = small_evaluation(folder)
    (folder.parent / f"rows-{os.environ['RANK']}").write_bytes(evaluation.outcomes.rows.tobytes())


def share(folder):
    """Three processes until one is killed, and two that go on; how each ended and what was there in between."""
    first = torchrun(3, take_part, folder / "run", DIES_AT)
    left = list(contents(folder / "run"))
    return {"first": first, "left": left, "second": torchrun(2, take_part, folder / "run")}


def quick_evaluation(folder):
    """One that is over soon, so that many can be killed."""
    return small_evaluation(folder, QUICK, diagnosed=False)


def in_child(folder, watch):
    """Run the quick evaluation in a fork of this process; the signal that ended it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            sys.setprofile(watch)
            quick_evaluation(folder)
            code = 0
        finally:
            os._exit(code)
    return -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(folder):
    """Evaluations that are killed at random moments and started again, as often as it takes; how many there were."""
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(1) if event in ("call", "c_call") else None)
    quick_evaluation(folder / "whole")
    sys.setprofile(None)
    rng, done, runs = np.random.default_rng(0), 0, 0
    while done < KILLS:
        while (ended := in_child(folder / str(runs), Countdown(int(rng.integers(1, len(calls)))))) == signal.SIGKILL:
            done += 1
        assert ended == 0
        runs += 1
    return {"runs": runs, "kills": done}


class Made(torch.utils.data.Dataset):
    """So many large images, made when they are asked for."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return torch.rand(3, SIDE, SIDE), index % 4


def memory(folder):
    """The peak of a process after few images and after many, in bytes."""
    net = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(3 * (SIDE // 16) ** 2, 4))
    options = {"clip_values": (0, 1), "device_type": "cpu"}
    model = PyTorchClassifier(net, nn.CrossEntropyLoss(), (3, SIDE, SIDE), 4, **options)
    peaks = []
    for n in (FEW, MANY):
        running.evaluate(model, [Clean(), Attacked("fgsm", 1 / 255)], Made(n), diagnosed=False)
        peaks.append(peak_memory())
    return peaks


def main(folder):
    """The forks come first: later the process has done work of its own."""
    forks_may_die()
    print(json.dumps({work.__name__: work(folder / work.__name__) for work in (share, kill, memory)}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))

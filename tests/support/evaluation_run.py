"""A small evaluation that tests stop and share out; as a program one process of it: ``evaluation_run.py FOLDER``."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.running import plan
from art_domainrand.evaluation.running.evaluate import evaluate

CONDITIONS = {"clean": Clean(), "large": Attacked("pgd", 0.1), "small": Attacked("pgd", 0.05)}
QUICK = {"clean": Clean(), "dark": lambda estimator, x, y: x / 2}
SAMPLES, BLOCK = 30, 8


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
        return evaluate(models(), conditions, data(), out=folder, **options)
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


def main():
    torch.set_num_threads(1)
    folder, dying = Path(sys.argv[1]), sys.argv[2:]
    if dying and os.environ["RANK"] == "1":
        sys.setprofile(Countdown(int(dying[0])))
    evaluation = small_evaluation(folder)
    rank = os.environ["RANK"]
    (folder.parent / f"rows-{rank}").write_bytes(evaluation.outcomes.rows.tobytes())


if __name__ == "__main__":
    main()

"""A small evaluation that tests stop and share out; as a program one that shares or kills many.

``evaluation_run.py share FOLDER UNITS`` shares it as torchrun does: among three processes, of which the first to begin
so many units dies, and then among two.
``evaluation_run.py kill FOLDER KILLS`` forks evaluations and kills them at random moments until each is done.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from tqdm.std import tqdm

from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.running import evaluate as running
from art_domainrand.evaluation.running import plan

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


def torchrun(processes, *arguments):
    """What torchrun starts, by its own agent, but forked: nothing is imported again; whether all went well."""
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id=f"of {processes}", rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", start_method="fork", max_restarts=0, monitor_interval=0.1,
    )  # fmt: skip
    try:
        elastic_launch(config, take_part)(*arguments)
    except ChildFailedError:
        return False
    return True


def share(folder, units):
    """Three processes until one is killed, and two that go on; how each ended and what was there in between."""
    tqdm.set_lock(threading.RLock())  # its own is shared with forks: one that is killed would keep it for ever
    first = torchrun(3, folder / "run", units)
    left = list(contents(folder / "run"))
    print(json.dumps({"first": first, "left": left, "second": torchrun(2, folder / "run")}))


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


def kill(folder, kills):
    """Evaluations that are killed at random moments and started again, as often as it takes; how many there were."""
    tqdm.set_lock(threading.RLock())  # its own is shared with forks: one that is killed would keep it for ever
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(1) if event in ("call", "c_call") else None)
    quick_evaluation(folder / "whole")
    sys.setprofile(None)
    rng, done, runs = np.random.default_rng(0), 0, 0
    while done < kills:
        while (ended := in_child(folder / str(runs), Countdown(int(rng.integers(1, len(calls)))))) == signal.SIGKILL:
            done += 1
        assert ended == 0
        runs += 1
    print(runs, done)


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"share": share, "kill": kill}[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:]))

"""Several processes of this machine: torchrun's own, from one interpreter that has already imported everything."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from tqdm.std import tqdm

TESTS = Path(__file__).parents[1]


def new_interpreter(program: str, *arguments: object) -> str:
    """What a program of ``support`` prints in a process of its own, where no earlier test has started a thread."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(TESTS / "support" / program), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=220,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def paths() -> str:
    """Where the package and the tests are found, for PYTHONPATH."""
    return os.pathsep.join(map(str, (TESTS, TESTS.parent)))


def forks_may_die() -> None:
    """Progress bars share a lock with forks: one that is killed would keep it for ever. From here on they do not."""
    tqdm.set_lock(threading.RLock())


def torchrun(processes: int, work: Callable[..., object], *arguments: Any) -> str:
    """What torchrun starts, by its own agent, but forked: nothing is imported again; what it says of a failure."""
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id=f"of {processes}", rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", start_method="fork", max_restarts=0, monitor_interval=0.1,
    )  # fmt: skip
    try:
        elastic_launch(config, work)(*arguments)
    except ChildFailedError as error:
        return str(error) or "failed"
    return ""

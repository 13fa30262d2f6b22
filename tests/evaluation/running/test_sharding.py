"""Several processes under torchrun share an evaluation: the same bytes, whoever does what and whoever dies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.evaluation_run import contents, small_evaluation

TESTS = Path(__file__).parents[2]
DIES_AFTER = 150_000
"""Calls of the second process: it has claimed a unit by then, and has not finished them all."""


def torchrun(folder: Path, processes: int, *arguments: str) -> subprocess.CompletedProcess:
    """Run an evaluation in several processes; their output in one text."""
    paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [*command, str(TESTS / "support" / "evaluation_run.py"), "share", str(folder), *arguments],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=150,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process leaves, and the table."""
    folder = tmp_path_factory.mktemp("alone")
    rows = small_evaluation(folder).outcomes.rows.tobytes()
    return contents(folder), rows


@pytest.mark.xdist_group("torchrun")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="torchrun needs it")
def test_three_processes_leave_the_bytes_of_one_and_two_go_on_where_one_of_three_was_killed(alone, tmp_path):
    expected, rows = alone
    killed = torchrun(tmp_path / "run", 3, str(DIES_AFTER))
    assert killed.returncode != 0
    left = contents(tmp_path / "run")
    assert "outcomes.csv" not in left
    again = torchrun(tmp_path / "run", 2)
    assert again.returncode == 0, again.stdout
    assert contents(tmp_path / "run") == expected
    assert [(tmp_path / f"rows-{rank}").read_bytes() for rank in range(2)] == [rows, rows]

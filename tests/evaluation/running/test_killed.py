"""A run that is killed at any moment and started again leaves the bytes of one that never was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from art_domainrand.evaluation.folder import load_evaluation

from support.evaluation_run import contents, quick_evaluation

TESTS = Path(__file__).parents[2]
KILLS = 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(tmp_path):
    """In a process of its own: after others' work threads may hold locks that a fork would wait for."""
    program = str(TESTS / "support" / "evaluation_run.py")
    paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, "kill", str(tmp_path), str(KILLS)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=200,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs, kills = map(int, done.stdout.split())
    assert kills >= KILLS
    assert runs > 2
    expected = contents(tmp_path / "whole")
    assert "outcomes.csv" in expected
    assert [contents(tmp_path / str(run)) == expected for run in range(runs)] == [True] * runs
    rows = load_evaluation(tmp_path / "0").outcomes.rows
    assert rows.tobytes() == quick_evaluation(None).outcomes.rows.tobytes()

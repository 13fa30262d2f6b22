"""Evaluations that are shared, killed and large, in a process of their own: the same bytes, within the same memory."""

import json
import os

import pytest

from art_domainrand.evaluation.folder import load_evaluation

from support.evaluation_run import DIES_AT, FEW, KILLS, MANY, SIDE, contents, quick_evaluation, small_evaluation
from support.processes import new_interpreter

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the program has written what it did."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def found(folder):
    """What it found. One process for all, since it takes longer to start than to do any of it."""
    return json.loads(new_interpreter("evaluation_run.py", folder))


def test_three_processes_leave_the_bytes_of_one_and_two_go_on_where_one_of_three_was_killed(found, folder, tmp_path):
    rows = small_evaluation(tmp_path / "alone").outcomes.rows.tobytes()
    run = found["share"]
    assert "SIGKILL" in run["first"]
    assert "outcomes.csv" not in run["left"]
    assert len([name for name in run["left"] if name.startswith("blocks")]) >= DIES_AT - 1
    assert run["second"] == ""
    assert contents(folder / "share/run") == contents(tmp_path / "alone")
    assert [(folder / f"share/rows-{rank}").read_bytes() for rank in range(2)] == [rows, rows]


def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(found, folder):
    runs, kills = found["kill"]["runs"], found["kill"]["kills"]
    assert kills >= KILLS
    assert runs > 2
    expected = contents(folder / "kill/whole")
    assert "outcomes.csv" in expected
    assert [contents(folder / f"kill/{run}") == expected for run in range(runs)] == [True] * runs
    rows = load_evaluation(folder / "kill/0").outcomes.rows
    assert rows.tobytes() == quick_evaluation(None).outcomes.rows.tobytes()


def test_four_times_the_images_take_the_same_memory(found):
    few, many = found["memory"]
    images = (MANY - FEW) * 3 * SIDE**2 * 4
    assert many - few < images / 4
    assert many < 2 * 10**9

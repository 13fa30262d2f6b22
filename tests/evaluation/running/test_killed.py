"""A run that is killed at any moment and started again leaves the bytes of one that never was."""

import os
import signal
import sys

import numpy as np
import pytest

from art_domainrand.evaluation.folder import load_evaluation

from support.evaluation_run import QUICK, Countdown, contents, small_evaluation

KILLS = 30


def quick_evaluation(folder):
    """One that is over soon, so that many can be killed."""
    return small_evaluation(folder, QUICK, diagnosed=False)


def in_child(folder, watch=None):
    """Run the evaluation in a fork of this process; how it ended, by the signal that did."""
    child = os.fork()
    if not child:
        try:
            sys.setprofile(watch)
            quick_evaluation(folder)
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    return -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a run that nobody stopped, and how many calls it makes."""
    calls = []
    folder = tmp_path_factory.mktemp("whole")
    try:
        sys.setprofile(lambda frame, event, argument: calls.append(1) if event in ("call", "c_call") else None)
        quick_evaluation(folder)
    finally:
        sys.setprofile(None)
    return contents(folder), len(calls)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(whole, tmp_path):
    expected, calls = whole
    rng, kills, runs = np.random.default_rng(0), 0, 0
    while kills < KILLS:
        folder = tmp_path / str(runs)
        most = calls
        while in_child(folder, Countdown(int(rng.integers(1, most)))) == signal.SIGKILL:
            kills, most = kills + 1, calls // 2  # what is left to do is less each time
        assert contents(folder) == expected
        runs += 1
    assert runs > 2
    assert load_evaluation(folder).outcomes.rows.tobytes() == quick_evaluation(None).outcomes.rows.tobytes()

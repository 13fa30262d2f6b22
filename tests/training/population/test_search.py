"""Population search: a known optimum is found, a killed study goes on, and workers share one."""

import json
import multiprocessing
import os
import signal
import sys
import time

import pytest

from art_domainrand.randomization import Brightness, Contrast, LogUniform, OneOf, Pipeline, Rotation, Sometimes
from art_domainrand.randomization.serialize import to_dict
from art_domainrand.training import SearchResult, search_pipeline
from art_domainrand.training.population.space import searched_numbers, suggested

optuna = pytest.importorskip("optuna")

SPACE = Pipeline([Rotation((-30, 30)), Sometimes(Brightness((-0.4, 0.4)), 0.5)])
TURNS = Pipeline(Rotation((-30, 30)))
FORK = multiprocessing.get_context("fork")  # a fresh interpreter would import torch and ART first


def near(pipeline, report=None):
    """Highest, zero, for a rotation from 10 to 20 degrees."""
    low, high = pipeline.parameters["0.angle"].support
    return -abs(low - 10) - abs(high - 20)


def test_a_known_optimum_is_come_near_to_and_the_limits_are_kept():
    found = search_pipeline(near, SPACE, n_trials=60, choices=False)
    assert found.value > -12 > near(SPACE)
    low, high = found.pipeline.parameters["0.angle"].support
    assert -30 <= low <= high <= 30
    assert (found.completed, found.pruned) == (60, 0)
    assert found.pipeline.transforms[1].p == 0.5
    assert SearchResult.from_json(found.to_json()) == found


def test_a_search_is_a_function_of_its_seed_and_goes_on_as_it_would_have(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    whole = search_pipeline(near, TURNS, n_trials=12, seed=3)
    part = search_pipeline(near, TURNS, n_trials=5, seed=3, study=url)
    resumed = search_pipeline(near, TURNS, n_trials=12, seed=3, study=url)
    assert resumed == whole
    assert part.completed == 5
    assert search_pipeline(near, TURNS, n_trials=12, seed=4) != whole


def test_a_space_is_walked_in_the_order_of_its_document():
    space = Pipeline([OneOf([Contrast(LogUniform(0.5, 2.0)), Brightness(0.1)]), Sometimes(Rotation((-9, 9)), 0.3)])
    document = to_dict(space)["transforms"]
    names = searched_numbers(document, choices=True)
    assert [name.split(".", 1)[1] for name in names if name.startswith("transforms[0]")] == [
        "transforms[0].factor.width", "transforms[0].factor.place", "weights[0]", "weights[1]",
    ]  # fmt: skip
    assert names[4:] == [f"transforms[1].{end}" for end in ("transform.angle.width", "transform.angle.place", "p")]
    assert not [name for name in searched_numbers(document, choices=False) if not name.endswith(("width", "place"))]
    half = suggested(document, lambda name, low, high: 0.5, False)
    assert half[1]["transform"]["angle"] == {"type": "uniform", "low": -4.5, "high": 4.5}
    factor = half[0]["transforms"][0]["factor"]
    assert (factor["low"], factor["high"]) == pytest.approx((0.5**0.5, 2**0.5))
    assert suggested(document, lambda name, low, high: high if "width" in name else low, False) == document


def stopping_at_the_third(url, seen):
    def objective(pipeline, report):
        seen.put(json.dumps(to_dict(pipeline)))
        if seen.qsize() >= 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return near(pipeline)

    search_pipeline(objective, TURNS, n_trials=6, study=url)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_a_killed_search_goes_on_where_it_was(tmp_path):
    url, seen = f"sqlite:///{tmp_path / 'study.db'}", FORK.Queue()
    process = FORK.Process(target=stopping_at_the_third, args=(url, seen))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    again = []

    def objective(pipeline, report):
        again.append(pipeline)
        return near(pipeline)

    found = search_pipeline(objective, TURNS, n_trials=6, study=url)
    assert (found.completed, len(again)) == (6, 4), "two were complete; the third, cut off, does not count"
    states = [trial.state.name for trial in optuna.load_study(study_name="pipeline", storage=url).trials]
    assert states == ["COMPLETE"] * 2 + ["RUNNING"] + ["COMPLETE"] * 4


def working(url, counts):
    def objective(pipeline, report):
        time.sleep(0.02)
        return near(pipeline)

    counts.put(search_pipeline(objective, TURNS, n_trials=8, study=url).completed)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_workers_share_the_trials_of_a_study(tmp_path):
    url, counts = f"sqlite:///{tmp_path / 'study.db'}", FORK.Queue()
    search_pipeline(near, TURNS, n_trials=1, study=url)
    workers = [FORK.Process(target=working, args=(url, counts)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
    assert [worker.exitcode for worker in workers] == [0, 0]
    study = optuna.load_study(study_name="pipeline", storage=url)
    assert 8 <= len(study.trials) <= 9
    assert len({trial.user_attrs["pipeline"] for trial in study.trials}) == len(study.trials)


def test_what_goes_badly_is_stopped_early():
    steps = []

    def objective(pipeline, report):
        for step in range(4):
            steps.append(step)
            report(near(pipeline))
        return near(pipeline)

    found = search_pipeline(objective, SPACE, n_trials=25)
    assert found.pruned > 3
    assert len(steps) == 4 * found.completed + found.pruned
    assert search_pipeline(objective, SPACE, n_trials=25, prune=False).pruned == 0


def test_what_an_objective_raises_ends_the_search_and_the_verbosity_stays():
    def objective(pipeline, report):
        raise ZeroDivisionError

    before = optuna.logging.get_verbosity()
    with pytest.raises(ZeroDivisionError):
        search_pipeline(objective, SPACE)
    assert optuna.logging.get_verbosity() == before


def test_ranges_that_collapse_are_warned_of():
    def narrow(pipeline, report):
        low, high = pipeline.parameters["0.angle"].support
        return low - high

    with pytest.warns(RuntimeWarning, match="collapsed ranges"):
        search_pipeline(narrow, Pipeline(Rotation((-30, 30))), n_trials=40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_trials": 0}, "n_trials must be >= 1, got 0"),
        ({"direction": "up"}, "direction must be one of .*'maximize', 'minimize'.*, got 'up'"),
        ({"space": Rotation(3.0)}, "space must have a range or a choice to search"),
        ({"objective": lambda pipeline, report: float("nan")}, "objective must return a finite number, got nan"),
    ],
)
def test_what_is_refused(options, message):
    options = {"objective": near, "space": SPACE} | options
    with pytest.raises(ValueError, match=message):
        search_pipeline(**options)


def test_a_study_of_another_space_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    search_pipeline(near, SPACE, n_trials=1, study=url)
    with pytest.raises(ValueError, match="study must be of the same space, choices and direction"):
        search_pipeline(near, Rotation((-10, 10)), n_trials=1, study=url)


def test_without_optuna_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'pip install "art-domainrand\[search\]"'):
        search_pipeline(near, SPACE)


@pytest.mark.parametrize("value", [None, "high", [0.1, 0.2]])
def test_an_objective_that_gives_no_number_is_named(value):
    with pytest.raises(TypeError, match="objective must return a number, got"):
        search_pipeline(lambda pipeline, report: value, SPACE, n_trials=1)
    with pytest.raises(TypeError, match="report must be given a number, got"):
        search_pipeline(lambda pipeline, report: report(value), SPACE, n_trials=1)


def test_a_study_is_a_url():
    with pytest.raises(ValueError, match=r"study must be the URL of a database, such as .*, got 'search\.db'"):
        search_pipeline(near, SPACE, study="search.db")

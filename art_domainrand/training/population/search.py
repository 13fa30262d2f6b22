"""Population search over pipelines by Optuna: by trial alone, stopped early where it goes badly, kept in a file."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.checks import Text, check_counts, require
from art_domainrand.core.random import TRIAL, seed_of
from art_domainrand.randomization import Pipeline, from_dict, from_json, to_dict, to_json
from art_domainrand.randomization.core.pipeline import Item, pipeline_from
from art_domainrand.training.population.space import searched_numbers, suggested

Direction = Literal["maximize", "minimize"]

ReportValue: TypeAlias = Callable[[float], None]
"""Told a value on the way; ends a trial that is worse than most were by then."""

NARROW = 0.02
"""Ranges of less than this share of their limits, as a rule, are called collapsed."""


@dataclass(frozen=True)
class SearchResult:
    """What a search over pipelines has found.

    :param pipeline: The best one.
    :param value: What the objective says of it.
    :param completed: How many trials came to their end, those of earlier runs and other workers included.
    :param pruned: How many were stopped early.
    :param width: The mean width of its ranges, as a share of the limits.
    """

    pipeline: Pipeline
    value: float
    completed: int
    pruned: int
    width: float

    def to_json(self) -> str:
        """The result as JSON, the pipeline as its document."""
        return json.dumps(vars(self) | {"pipeline": to_dict(self.pipeline)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SearchResult:
        """Read what :meth:`to_json` wrote.

        :param text: JSON.
        """
        found = json.loads(text)
        return cls(**(found | {"pipeline": from_dict(found["pipeline"])}))


@suggesting_names
def search_pipeline(
    objective: Callable[[Pipeline, ReportValue], float],
    space: Item,
    *,
    n_trials: int = 50,
    study: str | None = None,
    name: str = "pipeline",
    direction: Direction = "maximize",
    choices: bool = True,
    prune: bool = True,
    seed: int = 0,
) -> SearchResult:
    """Search for the pipeline, inside the limits of another one, that an objective likes best; needs Optuna.

    Every uniform and log-uniform range of ``space`` gets bounds of its own inside those it has, and every choice its
    probabilities: by the tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) of Optuna (Akiba et al., KDD
    2019), which learns from the trials so far. No gradient is taken, so thresholds, choices and whole trainings can be
    searched; where there is one, ranges that learn are cheaper by far.

    A ``study`` in a file survives whatever stops the program: called again, the search goes on, and a trial that was
    cut off does not count. Several processes that make the same call share its trials; the last ones may be a few more
    than asked for.

    :param objective: From a pipeline and a function, which may be told values on the way, to the final value; such as
        the accuracy, on validation images, of a model trained with this pipeline. What it raises ends the search.
    :param space: A pipeline, or what one is made from, that has a document (see :func:`to_json`).
    :param n_trials: How many trials are to be completed or stopped early, by all processes and all runs together.
    :param study: A database's URL, such as "sqlite:///search.db"; None keeps the trials in memory.
    :param name: The study's name in the database.
    :param direction: Whether large values are wanted, "maximize", or small ones, "minimize".
    :param choices: Whether the probabilities of choices are searched, too, or ranges alone.
    :param prune: Stop a trial whose value on the way is worse than the median of those before at the same step.
    :param seed: What trials suggest is a function of it, the trial's number, and the values of the trials before.
    :raises ImportError: without Optuna.
    :raises ValueError: naming the argument, the rule and the value; for a study of another space; for an objective that
        is no finite number; and where no trial was completed.
    """
    optuna = _optuna()
    check_counts(n_trials=n_trials, seed=seed)
    require(n_trials >= 1, "n_trials", "be >= 1", n_trials)
    require(callable(objective), "objective", "be a function", Text(type(objective).__name__), TypeError)
    known = ("maximize", "minimize")
    require(direction in known, "direction", f"be one of {list(known)}", direction)
    text = to_json(pipeline_from("space", space))
    document = json.loads(text)
    numbers = searched_numbers(document["transforms"], choices)
    require(len(numbers) > 0, "space", "have a range or a choice to search", Text("a pipeline without"))
    with _quiet(optuna):
        opened = _opened(optuna, study, name, direction, prune, {"space": text, "choices": choices})
        while len(_finished(optuna, opened)) < n_trials:
            trial = opened.ask()
            # So two workers do not suggest the same, and a search that goes on suggests what it would have.
            opened.sampler = optuna.samplers.TPESampler(seed=seed_of(seed, TRIAL, trial.number) % 2**32)
            _try(optuna, opened, trial, objective, document, choices)
        return _result(opened, _finished(optuna, opened), numbers)


def _try(optuna: Any, study: Any, trial: Any, objective: Any, document: Any, choices: bool) -> None:
    """Make and judge the pipeline of one trial."""
    states = optuna.trial.TrialState
    steps = 0

    def report(value: float) -> None:
        nonlocal steps
        trial.report(_number("report", "be given", value), steps)
        steps += 1
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        transforms = suggested(document["transforms"], trial.suggest_float, choices)
        pipeline = from_dict(document | {"transforms": transforms})
        trial.set_user_attr("pipeline", to_json(pipeline))
        value = _number("objective", "return", objective(pipeline, report))
        require(math.isfinite(value), "objective", "return a finite number", value)
    except optuna.TrialPruned:
        study.tell(trial, state=states.PRUNED)
    except BaseException:
        study.tell(trial, state=states.FAIL)
        raise
    else:
        study.tell(trial, value)


def _number(name: str, verb: str, value: Any) -> float:
    """The number that an objective gave, also as an array or tensor of one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must {verb} a number, got {value!r}") from None


def _opened(optuna: Any, url: str | None, name: str, direction: str, prune: bool, space: dict[str, Any]) -> Any:
    """The study, which is of this space."""
    storage = None
    if url is not None:
        require("://" in url, "study", 'be the URL of a database, such as "sqlite:///search.db"', url)
        waiting = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None
        storage = optuna.storages.RDBStorage(url, engine_kwargs=waiting)
    pruner = optuna.pruners.MedianPruner() if prune else optuna.pruners.NopPruner()
    study = optuna.create_study(
        storage=storage, study_name=name, direction=direction, pruner=pruner, load_if_exists=True
    )
    same = study.user_attrs.get("space", space) == space and study.direction.name.lower() == direction
    require(same, "study", "be of the same space, choices and direction", Text(f"{url}, {name!r}, of another"))
    study.set_user_attr("space", space)
    return study


def _finished(optuna: Any, study: Any) -> list[Any]:
    states = optuna.trial.TrialState
    found: list[Any] = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
    return found


def _result(study: Any, finished: list[Any], numbers: list[str]) -> SearchResult:
    completed = [trial for trial in finished if trial.state.name == "COMPLETE"]
    require(len(completed) > 0, "objective", "come to its end in one trial", Text(f"{len(finished)}, all stopped"))
    best = study.best_trial
    widths = [best.params[name] for name in numbers if name.endswith(".width")]
    width = sum(widths) / len(widths) if widths else 1.0
    if width < NARROW:
        warnings.warn(
            f"collapsed ranges: the best pipeline's have {width:.1%} of their limits' width, which is next to no "
            "randomization; reward it in the objective, or judge by data that differ more",
            RuntimeWarning,
            stacklevel=3,
        )
    pipeline = from_json(best.user_attrs["pipeline"])
    return SearchResult(pipeline, float(best.value), len(completed), len(finished) - len(completed), width)


def _optuna() -> Any:
    try:
        return import_module("optuna")
    except ImportError:
        raise ImportError('search_pipeline needs Optuna: pip install "art-domainrand[search]"') from None


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """No lines of Optuna's own about every trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)

"""Which conditions are threats of which kind, and which samples a model gets right in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import (
    Attacked,
    Clean,
    Composite,
    Condition,
    Corrupted,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
)
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.results import Row


def kind_of(condition: Condition) -> str:
    """What sort of threat a condition is.

    :param condition: the condition.
    :return: "clean"; "attacked" if an adversary chooses, by gradients, by search or among several conditions;
        "corrupted" for a common corruption; "shifted" for a domain, a randomization, or one of these after another;
        "custom" for what only its author knows.
    """
    if isinstance(condition, Clean):
        return "clean"
    if isinstance(condition, Then):
        parts = {kind_of(condition.first), kind_of(condition.second)} - {"clean"}
        if len(parts) > 1:
            return next((kind for kind in ("custom", "attacked") if kind in parts), "shifted")
        return parts.pop() if parts else "clean"
    if isinstance(condition, Union):
        kinds = {kind_of(one) for one in condition.conditions}
        return "custom" if "custom" in kinds else kinds.pop() if len(kinds) == 1 else "attacked"
    if isinstance(condition, (Attacked, DomainAttacked, Composite)):
        return "attacked"
    if isinstance(condition, Corrupted):
        return "corrupted"
    return "shifted" if isinstance(condition, (InDomain, Randomized)) else "custom"


def names_of_kind(evaluation: Evaluation, *kinds: str) -> tuple[str, ...]:
    """The names of the conditions of some kinds, in the order of the table.

    :param evaluation: the evaluation.
    :param kinds: as :func:`kind_of` calls them.
    """
    return tuple(name for name, condition in evaluation.conditions.items() if kind_of(condition) in kinds)


def check_names(argument: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that there are not, with the nearest one, and an empty list of names."""
    require(len(names) > 0, argument, "name at least one", list(names))
    for name in names:
        got = Text(f"{name!r}{nearest(name, known)}")
        require(name in known, argument, f"be among {list(known)}", got)


def always_right(outcomes: Outcomes, model: str, conditions: Sequence[str]) -> NDArray[np.bool_]:
    """Whether a model is right about a sample in every one of some conditions, and in every draw of each.

    :param outcomes: the table.
    :param model: the model's name.
    :param conditions: the names of the conditions, at least one.
    :return: (N,), samples ascending.
    :raises ValueError: for an unknown name, or if the conditions were not performed on the same samples.
    """
    check_names("model", [model], outcomes.models)
    check_names("conditions", conditions, outcomes.conditions)
    tables = [outcomes.of(model, condition) for condition in conditions]
    samples = tables[0]["sample"][0]
    for condition, table in zip(conditions, tables, strict=True):
        same = np.array_equal(table["sample"][0], samples)
        got = Text(f"{len(table[0])} samples of {condition!r} and {len(samples)} of {conditions[0]!r}")
        require(same, "conditions", "hold the same samples", got)
    found: NDArray[np.bool_] = np.logical_and.reduce([table["right"].all(axis=0) for table in tables])
    return found


def counted(model: str, cell: str, right: NDArray[np.bool_]) -> Row:
    """The accuracy of a vector of right and wrong with Wilson's interval.

    :param model: the model's name.
    :param cell: what the row is called.
    :param right: (N,), N >= 1.
    """
    return Row.count(model, cell, int(right.sum()), len(right))

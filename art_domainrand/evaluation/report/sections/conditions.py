"""The table of conditions: what each is, and how accurate each model was in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.trust import findings_on, needs_no_gradient

KIND_WORDS = {
    Clean: "clean",
    Attacked: "attack",
    Corrupted: "corruption",
    InDomain: "domain",
    Randomized: "random draws",
    DomainAttacked: "worst domain",
    Composite: "worst domain and pixels",
}

UPPER_BOUND, NOT_RELIABLE, SEE_WARNING = "upper bound", "not reliable", "see warning"
"""What a diagnosis says of an accuracy: another attack may find more, this one cannot work, or read on."""


def kind_text(condition: Condition) -> str:
    """The kind of a condition in words."""
    if isinstance(condition, Then):
        return f"{kind_text(condition.first)}, then {kind_text(condition.second)}"
    if isinstance(condition, Union):
        return f"worst of: {', '.join(dict.fromkeys(kind_text(one) for one in condition.conditions))}"
    return KIND_WORDS.get(type(condition), "custom")


def uses_gradients(condition: Condition) -> bool:
    """Whether the accuracy in it is as low as an attack on the pixels could make it, which a diagnosis may doubt."""
    if isinstance(condition, Then):
        return uses_gradients(condition.second) or uses_gradients(condition.first)
    return isinstance(condition, (Attacked, Composite))


def relies_on_gradients(condition: Condition) -> bool:
    """Whether a diagnosis may doubt the accuracy in it: of a union where it may doubt that of one part."""
    if isinstance(condition, Union):
        return any(relies_on_gradients(one) for one in condition.conditions)
    return uses_gradients(condition) and not needs_no_gradient(condition)


@dataclass(frozen=True)
class ConditionEntry:
    """One model in one condition.

    :param row: its accuracy; None where it was not judged.
    :param doubt: what the model's diagnosis says of it, in two words; empty for nothing.
    """

    row: Row | None
    doubt: str

    @property
    def at_most(self) -> str:
        """What stands before the accuracy: whether an attack may find more."""
        return "" if self.doubt in ("", SEE_WARNING) else "\N{LESS-THAN OR EQUAL TO} "


@dataclass(frozen=True)
class ConditionLine:
    """A line of the table.

    :param name: the condition's name.
    :param kind: what it is, in words.
    :param entries: one for each model.
    :param passes: forward and backward passes per image, averaged over the models; NaN where they were not counted.
    """

    name: str
    kind: str
    entries: tuple[ConditionEntry, ...]
    passes: tuple[float, float]


def condition_lines(evaluation: Evaluation) -> tuple[ConditionLine, ...]:
    """The lines of the table, in the order of the evaluation."""
    return tuple(
        ConditionLine(
            name,
            kind_text(condition),
            tuple(entry_of(evaluation, model, name, condition) for model in evaluation.models),
            passes_of(evaluation, name),
        )
        for name, condition in evaluation.conditions.items()
    )


def entry_of(evaluation: Evaluation, model: str, name: str, condition: Condition) -> ConditionEntry:
    """A model's entry: any finding concerns what attacks left standing, and poor clean accuracy everything."""
    found = findings_on(evaluation, model)
    doubt = SEE_WARNING if any(one.name == "clean_accuracy" for one in found) else ""
    if found and relies_on_gradients(condition):
        doubt = NOT_RELIABLE if any(one.severity == "error" for one in found) else UPPER_BOUND
    return ConditionEntry(row_of(evaluation, model, name), doubt)


def row_of(evaluation: Evaluation, model: str, condition: str) -> Row | None:
    """The accuracy of a model in a condition, or None where it was not judged."""
    try:
        return evaluation.accuracy(model, condition)
    except KeyError:
        return None


def passes_of(evaluation: Evaluation, condition: str) -> tuple[float, float]:
    """Forward and backward passes per image and draw in a condition, averaged over the models."""
    found = [evaluation.outcomes.of(model, condition) for model in evaluation.models]
    forwards, backwards = (
        float(np.mean([rows[name].mean(dtype=np.float64) for rows in found])) for name in ("forwards", "backwards")
    )
    return forwards, backwards

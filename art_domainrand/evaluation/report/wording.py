"""What conditions are called on a page, where people read and no program does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from art_domainrand.evaluation.conditions.kinds import Condition, Then, Union
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import Outcomes

IN_TURN = ", then "
"""What stands between what is done first and what is done to its images; in tables and files that is " > "."""


def in_words(evaluation: Evaluation) -> Evaluation:
    """The same evaluation, with "fog 3, then pgd linf 0.1" for a condition called "fog 3 > pgd linf 0.1".

    Names that users gave stay as they are.

    :param evaluation: the evaluation; it is not changed.
    """
    names = shown_names(evaluation.conditions)
    outcomes = evaluation.outcomes
    shown = tuple(names.get(name, name) for name in outcomes.conditions)
    documents = evaluation.manifest.get("conditions")
    manifest = dict(evaluation.manifest)
    if isinstance(documents, Mapping):
        manifest["conditions"] = {names.get(name, name): document for name, document in documents.items()}
    return replace(
        evaluation,
        outcomes=Outcomes(outcomes.rows, outcomes.models, shown, outcomes.classes),
        conditions={names[name]: condition for name, condition in evaluation.conditions.items()},
        manifest=manifest,
        samples=tuple(replace(one, condition=names.get(one.condition, one.condition)) for one in evaluation.samples),
    )


def shown_names(conditions: Mapping[str, Condition]) -> dict[str, str]:
    """What each condition is called on the page, by its name; no two are called the same.

    :param conditions: the conditions by name.
    """
    shown: dict[str, str] = {}
    for name, condition in conditions.items():
        text = name_in_words(condition) if name == condition.name else name
        shown[name] = name if text in shown.values() or text in conditions else text
    return shown


def name_in_words(condition: Condition) -> str:
    """What a condition is called where it was not given a name."""
    if isinstance(condition, Then):
        return f"{name_in_words(condition.first)}{IN_TURN}{name_in_words(condition.second)}"
    if isinstance(condition, Union):
        return f"union of {' | '.join(name_in_words(one) for one in condition.conditions)}"
    return condition.name


def family_in_words(family: str, condition: Condition) -> str:
    """What a curve is called.

    :param family: its name in :func:`art_domainrand.evaluation.summary.curves.families`.
    :param condition: one of its conditions.
    """
    if isinstance(condition, Then):
        after = family.removeprefix(f"{condition.first.name} > ")
        return f"{name_in_words(condition.first)}{IN_TURN}{family_in_words(after, condition.second)}"
    return family

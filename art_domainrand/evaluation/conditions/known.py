"""Conditions whose names are names of something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from art_domainrand.evaluation.conditions.documents import read_condition
from art_domainrand.evaluation.conditions.kinds import (
    Composite,
    Condition,
    Corrupted,
    DomainAttacked,
    InDomain,
    Randomized,
    parts_of_condition,
)
from art_domainrand.evaluation.conditions.values import check_named
from art_domainrand.randomization import CORRUPTIONS, DOMAINS, PRESETS
from art_domainrand.randomization.domains import UNFORESEEN_DOMAINS


def from_document(document: Any, path: str = "condition") -> Condition:
    """Build the condition that a document describes.

    :param document: a mapping, as in this module; arguments that are left out have their defaults.
    :param path: where it stands, for errors.
    :raises ValueError: naming the place in the document: an unknown type, key or name (with the nearest one), a value
        of the wrong type, one that the condition refuses, and what stands for a function.
    """
    condition = read_condition(document, path, False)
    try:
        check_condition(condition)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return condition


def check_condition(condition: Condition) -> None:
    """Refuse a condition that names a corruption, a domain or a preset that does not exist, with the nearest name.

    The names and options of attacks are those of :mod:`art_domainrand.evaluation.running.attacks`.

    :param condition: the condition.
    :raises ValueError: for an unknown name.
    """
    for part in parts_of_condition(condition):
        check_condition(part)
    if type(condition) in _NAMED:
        attribute, check = _NAMED[type(condition)]
        check(getattr(condition, attribute))


def check_preset(pipeline: Any) -> None:
    """Refuse the name of a preset that there is not, also one that a record has."""
    if isinstance(pipeline, str):
        check_named("pipeline", pipeline, list(PRESETS))


def check_domain_name(domain: Any) -> None:
    """Refuse the name of a domain that there is not."""
    if isinstance(domain, str):
        check_named("domain", domain, [*DOMAINS, *UNFORESEEN_DOMAINS])


_NAMED: dict[type[Condition], tuple[str, Callable[[Any], None]]] = {
    Corrupted: ("corruption", lambda name: check_named("corruption", name, list(CORRUPTIONS))),
    InDomain: ("domain", check_domain_name),
    Randomized: ("pipeline", check_preset),
    DomainAttacked: ("pipeline", check_preset),
    Composite: ("pipeline", check_preset),
}

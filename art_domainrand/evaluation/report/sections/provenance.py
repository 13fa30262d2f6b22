"""With what an evaluation was made, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.text import (
    bytes_text,
    duration_text,
    name_text,
    number_text,
    shortened,
    value_text,
)
from art_domainrand.evaluation.report.wording import IN_TURN

Facts = tuple[tuple[str, str], ...]
"""Names and values, as text."""

LONGEST_LIST = 12
"""Entries of a list or of a group of facts that are shown."""

LONGEST_OPTION = 300
"""Characters of an option that are shown; a pipeline has many."""

SHOWN_APART = ("command", "conditions", "families", "classes", "schema")
"""Keys of a manifest that have a place of their own on the page, or say nothing to its readers."""


def facts_of(document: Mapping[str, Any], skipped: tuple[str, ...] = SHOWN_APART) -> Facts:
    """What stands in a manifest or in a file of costs, a line for each plain value.

    :param document: plain data; its keys may be of any kind of run.
    :param skipped: keys that are left out.
    """
    return tuple(fact for key, value in document.items() if key not in skipped for fact in lines_of(str(key), value))


def cost_facts(evaluation: Evaluation) -> Facts:
    """What the run took: time and memory, as far as they were noted, and passes through each model."""
    noted = {key: value for key, value in evaluation.cost.items() if value and not isinstance(value, Mapping)}
    by_model = evaluation.cost.get("models")
    units = by_model if isinstance(by_model, Mapping) else {}
    times = {model: sum(parts.values()) for model, parts in units.items() if isinstance(parts, Mapping)}
    facts = [*facts_of(noted), *((f"seconds: {model}", duration_text(seconds)) for model, seconds in times.items())]
    rows = evaluation.outcomes.rows
    for place, model in enumerate(evaluation.models):
        for name in ("forwards", "backwards"):
            passes = float(np.sum(rows[name][rows["model"] == place], dtype=np.float64))
            facts.append((f"{name.removesuffix('s')} passes: {model}", number_text(passes)))
    return tuple(facts)


def lines_of(key: str, value: Any) -> Facts:
    """The facts of one key: a group becomes a line for each of its entries."""
    if not isinstance(value, Mapping):
        return ((words_of(key), fact_text(key, value)),)
    lines = [fact for name, part in value.items() if name not in SHOWN_APART for fact in lines_of(str(name), part)]
    more = [(words_of(key), f"{len(lines) - LONGEST_LIST} more")] if len(lines) > LONGEST_LIST else []
    return tuple([(f"{words_of(key)}: {name}", text) for name, text in lines[:LONGEST_LIST]] + more)


def condition_facts(manifest: Mapping[str, Any]) -> Facts:
    """Every condition with its options, as a manifest has them.

    :param manifest: plain data, which may hold no conditions.
    """
    documents = manifest.get("conditions")
    if not isinstance(documents, Mapping):
        return ()
    return tuple((name_text(str(name)), options_text(document)) for name, document in documents.items())


def options_text(document: Any) -> str:
    """The document of a condition as one line: its kind and its options by name."""
    if not isinstance(document, Mapping):
        return value_text(document)
    if "first" in document and "second" in document:
        return f"{options_text(document['first'])}{IN_TURN}{options_text(document['second'])}"
    options = document.get("options")
    plain = {key: value for key, value in document.items() if key not in ("type", "options")}
    plain |= options if isinstance(options, Mapping) else {}
    kind = words_of(str(document.get("type", "")))
    texts = (f"{words_of(str(key))} {shortened(value_text(value), LONGEST_OPTION)}" for key, value in plain.items())
    return f"{kind}: {', '.join(texts)}" if plain else kind


def fact_text(key: str, value: Any) -> str:
    """A value with its unit, which the key says."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and "seconds" in key:
        return duration_text(value)
    if number and "bytes" in key:
        return bytes_text(value)
    if isinstance(value, (list, tuple)) and len(value) > LONGEST_LIST:
        return f"{value_text(value[:LONGEST_LIST])} and {len(value) - LONGEST_LIST} more"
    return value_text(value)


def words_of(key: str) -> str:
    """A key as words; "bytes" is in the unit of the value already."""
    return key.replace("_bytes", "_memory").replace("_gpu_memory", "_GPU_memory").replace("_", " ")

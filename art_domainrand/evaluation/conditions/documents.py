"""Stand-in."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from art_domainrand.evaluation.conditions.kinds import CONDITIONS, Condition, attack_name


def to_document(condition: Condition) -> dict[str, Any]:
    """Stand-in."""
    kind = next((name for name, cls in CONDITIONS.items() if type(condition) is cls), "custom")
    if kind == "custom" or callable(getattr(condition, "attack", None)):
        return {"type": "custom", "name": condition.name}
    found: dict[str, Any] = {"type": kind}
    for f in fields(condition):  # type: ignore[arg-type]
        value = getattr(condition, f.name)
        found[f.name] = to_document(value) if isinstance(value, Condition) else value
    return found


def from_document(document: Any, path: str = "condition") -> Condition:
    """Stand-in."""
    if document["type"] not in CONDITIONS:
        raise ValueError(f"{path} cannot be read back: {attack_name(document['name'])}")
    values = {
        k: from_document(v, f"{path}.{k}") if k in ("first", "second") else v
        for k, v in document.items()
        if k != "type"
    }
    return CONDITIONS[document["type"]](**values)

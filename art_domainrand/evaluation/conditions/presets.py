"""Stand-in."""

from __future__ import annotations

from art_domainrand.evaluation.conditions.kinds import Attacked, Clean, Condition


def preset_conditions(name: str) -> tuple[Condition, ...]:
    """Stand-in."""
    return Clean(), Attacked("pgd", 0.1)

"""What a model is judged under: frozen dataclasses that say it, and nothing that does it."""

from art_domainrand.evaluation.conditions.kinds import (
    CONDITIONS,
    Attacked,
    Clean,
    Composite,
    Condition,
    Corrupted,
    Custom,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
)

__all__ = [
    "CONDITIONS",
    "Attacked",
    "Clean",
    "Composite",
    "Condition",
    "Corrupted",
    "Custom",
    "DomainAttacked",
    "InDomain",
    "Randomized",
    "Then",
    "Union",
]

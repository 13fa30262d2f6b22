"""How many queries look for masked gradients, and search where they are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnmaskingBudget:
    """How many queries are made of whom.

    ``probe`` of everyone left, ``closer`` where that leaves a doubt, ``queries`` where gradients look masked.

    AutoAttack makes 5,000 of every sample that its gradients have left.
    """

    probe: int = 10
    closer: int = 50
    queries: int = 5000

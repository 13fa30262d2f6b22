"""What a condition is; the kinds stand in :mod:`art_domainrand.evaluation.conditions.kinds`."""

from abc import ABC, abstractmethod


class Condition(ABC):
    """What is done to the images before a model is judged on them."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in tables where the user does not say."""

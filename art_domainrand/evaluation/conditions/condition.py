"""What every condition is, for those who hold conditions and need not know what they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Condition(ABC):
    """What is done to the images before a model is judged on them."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in tables where the user does not say."""

"""What a modality is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from art_domainrand.randomization.core.transform import Transform, Values
from art_domainrand.randomization.modalities.motion import Motion


class Modality(ABC):
    """One of several pictures of a scene; final subclasses are frozen dataclasses."""

    change: Transform | None
    """What happens to its values once it has been moved; None if nothing does."""

    @property
    def needs_whole(self) -> bool:
        """Whether the geometry must move the image as a whole, so that it is magnified as a whole."""
        return False

    @property
    def takes_integers(self) -> bool:
        """Whether pictures may be integers and booleans."""
        return False

    @abstractmethod
    def move(self, x: Tensor, motion: Motion) -> Tensor:
        """Move pictures, and change nothing else.

        :param x: pictures (B, C, H, W).
        :param motion: where their pixels go.
        """

    def apply(self, x: Tensor, motion: Motion, values: Values) -> Tensor:
        """Move pictures, then change their values.

        :param x: pictures (B, C, H, W).
        :param motion: where their pixels go.
        :param values: the values of ``change``; none are needed where it is None.
        """
        moved = self.move(x, motion)
        return moved if self.change is None else self.change.apply(moved, values)

    def check_channels(self, channels: int) -> None:
        """Refuse a number of channels that ``change`` does not take.

        :param channels: the number of channels of the pictures.
        :raises ValueError: unless so many are taken.
        """
        if self.change is not None:
            self.change.check_channels(channels)

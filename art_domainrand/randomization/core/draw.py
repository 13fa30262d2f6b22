"""What a draw is: a point of the unit cube and a seed for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.memory import onto

Index: TypeAlias = int | slice | Tensor | NDArray[Any] | list[int]


@dataclass(frozen=True, eq=False)
class Draw:
    """One random draw for each of n images.

    :param u: (n, P), floating: a point of the unit cube for each image, one coordinate per parameter of the pipeline.
        Gradients may flow to it.
    :param seeds: (n,) int64, which feeds per-pixel fields such as noise.
    :raises ValueError: for another shape or dtype.
    """

    u: Tensor
    seeds: Tensor

    def __post_init__(self) -> None:
        if self.u.dim() != 2 or not self.u.is_floating_point():
            raise ValueError(f"u must be a floating (n, P) tensor, got {self.u.dtype} of shape {tuple(self.u.shape)}")
        if self.seeds.shape != self.u.shape[:1] or self.seeds.dtype != torch.int64:
            raise ValueError(
                f"seeds must be int64 of shape ({len(self.u)},), got {self.seeds.dtype} of {tuple(self.seeds.shape)}"
            )

    def __len__(self) -> int:
        return len(self.u)

    def __getitem__(self, index: Index) -> Draw:
        """The draw of some of the images: by position (a draw of length one), slice, index array or boolean mask."""
        if isinstance(index, int):
            index = range(len(self))[index]
            index = slice(index, index + 1)
        elif not isinstance(index, slice):
            if isinstance(index, list):
                index = np.asarray(index, dtype=None if index else np.int64)
            index = torch.as_tensor(index, device=self.u.device)
        return Draw(self.u[index], self.seeds[index])

    def repeat(self, count: int) -> Draw:
        """Tile the draw, in the order in which ``x.repeat(count, 1, 1, 1)`` tiles images.

        :param count: how many times.
        """
        return Draw(self.u.repeat(count, 1), self.seeds.repeat(count))

    def to(self, device: torch.device | str) -> Draw:
        """The same draw on another device.

        :param device: where ``u`` and the seeds are to lie.
        """
        return Draw(onto(device, self.u), onto(device, self.seeds))


torch.serialization.add_safe_globals([Draw])  # so that torch.load reads a saved draw without weights_only=False

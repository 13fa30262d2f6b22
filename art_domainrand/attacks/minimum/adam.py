"""Adam's step, for the attacks that are built on it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Adam:
    """The moments of a batch's gradients (A, ...) (Kingma & Ba 2015, algorithm 1, with its constants)."""

    mean: Tensor
    square: Tensor

    first, second, stable = 0.9, 0.999, 1e-8

    @classmethod
    def over(cls, x: Tensor) -> "Adam":
        """No gradient met yet."""
        return cls(torch.zeros_like(x), torch.zeros_like(x))

    def observe(self, i: int, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Take up the gradient of step ``i`` = 0, 1, ...; the mean without bias, and the scale it is divided by."""
        self.mean = torch.lerp(gradient, self.mean, self.first)
        self.square = torch.lerp(gradient.square(), self.square, self.second)
        scale = (self.square / (1 - self.second ** (i + 1))).sqrt() + self.stable
        return self.mean / (1 - self.first ** (i + 1)), scale

    def take(self, index: Tensor) -> None:
        """Go on with the samples ``index`` only."""
        self.mean, self.square = self.mean[index], self.square[index]

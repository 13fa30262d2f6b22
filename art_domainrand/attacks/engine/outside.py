"""Balls around images that lie a little outside the box: noise was added to them, or another perturbation."""

from copy import copy

import torch
from torch import Tensor

from art_domainrand.core.norms import Ball, Size, ball


class BallFromOutside(Ball):
    """The ball ``inner`` around images outside the box, with steps and projection as ART takes them.

    Every step is clipped to the box, then brought within ``eps`` of the image: an image that is farther than that from
    the box comes as near to it as the budget lets it. Images inside the box get what they get of ``inner``.
    """

    def __init__(self, inner: Ball) -> None:
        super().__init__(inner.x, inner.eps, inner.low, inner.high)
        self.inner, self.norm = inner, inner.norm
        self._around: tuple[Size, Ball] | None = None

    @property
    def budget(self) -> Ball:
        """The ball in a box that is wide enough to hold the images, so that nothing but ``eps`` bounds them."""
        if self._around is None or self._around[0] is not self.eps:
            assert self.low is not None
            assert self.high is not None
            low, high = torch.minimum(self.low, self.x), torch.maximum(self.high, self.x)
            self._around = self.eps, ball(self.norm, self.x, self.eps, low, high)
        return self._around[1]

    def origin(self) -> Tensor:
        """The image brought into the box: an image that fools as it is must not be returned from outside."""
        return self.project(self.x)

    def take(self, index: Tensor) -> Ball:
        part = copy(self.inner)
        part.eps = self.eps
        return BallFromOutside(part.take(index))

    def project(self, adv: Tensor) -> Tensor:
        return self.budget.project(self.clip(adv))

    def nearest(self, adv: Tensor) -> Tensor:
        return self.budget.nearest(self.clip(adv))

    def step(self, adv: Tensor, grad: Tensor, size: Size) -> Tensor:
        return self.inner.step(adv, grad, size)

    def ascend(self, adv: Tensor, grad: Tensor, size: Size) -> Tensor:
        return self.budget.project(self.inner.ascend(adv, grad, size))

    def settle(self, adv: Tensor) -> Tensor:
        return self.budget.settle(adv)

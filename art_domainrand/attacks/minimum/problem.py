"""The images of a batch whose closest adversarial examples are sought: norm, box, mask and the unit of lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from art_domainrand.attacks.engine.steps import rows_of_mask
from art_domainrand.core.norms import per_sample, project_l1_box


@dataclass(frozen=True)
class Problem:
    """Images ``x`` (A, ...), to be left by as little as possible in ``norm`` (0, 1, 2 or inf), inside the box.

    ``low`` and ``high`` broadcast to an image, or are None. ``mask`` broadcasts to ``x``: entries where it is zero stay
    as they are. ``width`` (A, 1, ...) is the range of pixels, the unit of the constants that papers state for [0, 1].
    """

    x: Tensor
    norm: float
    low: Tensor | None
    high: Tensor | None
    mask: Tensor | None
    width: Tensor

    def clip(self, adv: Tensor) -> Tensor:
        """Clip to the box of valid pixels."""
        return adv if self.low is None else torch.clamp(adv, self.low, self.high)

    def distance(self, adv: Tensor) -> Tensor:
        """How far ``adv`` (A, ...) is from the images, (A,)."""
        return length(adv - self.x, self.norm)

    def room(self, direction: Tensor) -> Tensor:
        """How far each entry of the images may move along the sign of ``direction``, (A, ...); 0 where masked."""
        if self.low is None or self.high is None:
            room = torch.full_like(self.x, torch.inf)
        else:
            room = torch.where(direction > 0, self.high - self.x, self.x - self.low).clamp_min_(0)
        return room if self.mask is None else torch.where(self.mask == 0, 0.0, room)

    def farthest(self) -> Tensor:
        """The distance to the farthest point of the box, (A,)."""
        up = self.room(torch.ones_like(self.x))
        return length(torch.maximum(up, self.room(-torch.ones_like(self.x))), self.norm)

    def project(self, adv: Tensor, radius: Tensor) -> Tensor:
        """Bring ``adv`` (A, ...) within ``radius`` (A,) of the images and into the box.

        In L0 the largest changes are kept, as many as the radius says; in L2 the change is shrunk, elsewhere the point
        is the nearest one.
        """
        delta, wide = self.clip(adv) - self.x, per_sample(radius, adv)
        if self.norm == torch.inf:
            delta = torch.clamp(delta, -wide, wide)
        elif self.norm == 2:
            delta = delta * (wide / per_sample(length(delta, 2), delta).clamp_min(LEAST_LENGTH)).clamp(max=1)
        elif self.norm == 1:
            delta = project_l1_box(delta, wide, delta.abs())
        else:
            delta = keep_largest(delta, radius)
        return self.clip(self.x + delta)

    def take(self, index: Tensor) -> Problem:
        """That of the samples ``index`` only."""
        mask = None if self.mask is None else rows_of_mask(self.mask, self.x, index)
        return replace(self, x=self.x[index], mask=mask, width=self.width[index])


LEAST_LENGTH = torch.finfo(torch.float32).tiny


def length(change: Tensor, norm: float) -> Tensor:
    """The norm of each change (A, ...), (A,); in L0 how many entries are not zero."""
    rows = change.flatten(1)
    if norm == 0:
        return (rows != 0).sum(1).to(change.dtype)
    lengths: Tensor = torch.linalg.vector_norm(rows, ord=norm, dim=1)
    return lengths


def dual_length(gradient: Tensor, norm: float) -> Tensor:
    """The dual norm of each gradient, (A,): how fast a function rises at best per unit of ``norm``; of L0 its sum."""
    return length(gradient, {torch.inf: 1.0, 1.0: torch.inf, 2.0: 2.0}.get(norm, 1.0)).clamp_min(LEAST_LENGTH)


def keep_largest(change: Tensor, count: Tensor) -> Tensor:
    """The ``count`` (A,) largest entries of each change (A, ...); the others are zero."""
    rows = change.flatten(1)
    order = rows.abs().argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(rows.shape[1], device=rows.device).expand_as(order))
    return torch.where(rank < count.unsqueeze(1), rows, 0.0).reshape(change.shape)

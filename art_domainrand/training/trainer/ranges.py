"""How much of every range of a pipeline is drawn from: curricula that move a box inside the unit cube."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.coordinates import coordinates, is_range
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Draw

# Automatic domain randomization (OpenAI et al. 2019, "Solving Rubik's cube with a robot hand", section 5.2).
BOUNDARY_SHARE = 0.5  # share of images drawn at a boundary, p_b
BUFFER = 64  # images seen at a boundary before it is judged, m
STEP = 0.05  # by how much a boundary moves, Delta, as a share of the range
FIRST_WIDTH = 0.1  # of every range, at the start
HOLDS, FAILS = 0.9, 0.7  # boundary accuracy over accuracy inside: widen from here on, narrow from here down


class Ranges:
    """The box ``[low, high]`` (P,) of the unit cube that draws are placed in; the whole cube at first.

    Choices (gates, selectors, flips, which corruption) are no ranges: their odds stay as they are.
    """

    scheduled: ClassVar[bool] = True
    """Whether they open with the epochs, by :meth:`warm_up`."""
    learns_from: ClassVar[str | None] = None
    """What :meth:`learn` is told of every image: "hits", "losses" or nothing."""
    follows: ClassVar[bool] = False
    """Whether :meth:`follow` is shown every batch."""
    domain: tuple[Tensor, Tensor] | None = None
    """Images and class indices whose loss they follow, once they are known."""

    def __init__(self, pipeline: Pipeline | None) -> None:
        self.coordinates = [] if pipeline is None else coordinates(pipeline.chain)
        self.movable = torch.tensor([is_range(c) for c in self.coordinates], dtype=torch.bool)
        count = len(self.movable)
        self.low, self.high = torch.zeros(count, dtype=torch.float32), torch.ones(count, dtype=torch.float32)

    @property
    def width(self) -> float:
        """The mean width of the ranges, as a share of the full ones."""
        return float((self.high - self.low)[self.movable].mean()) if self.movable.any() else 1.0

    def place(self, draw: Draw) -> Draw:
        """The draw with every coordinate moved into the box, in proportion."""
        low, high = self.low.to(draw.u.device), self.high.to(draw.u.device)
        return replace(draw, u=low + (high - low) * draw.u)

    def warm_up(self, share: float) -> None:
        """Draw from the middle ``share`` of every range."""
        self.low[self.movable] = 0.5 - share / 2
        self.high[self.movable] = 0.5 + share / 2

    def learn(self, values: Tensor, rows: Tensor) -> None:
        """Take note of the images ``rows`` (b,) of the last draw: which were classified correctly, or their losses."""

    def follow(self, batch: Any) -> None:
        """Take a step along a gradient at the batch that was just learned from."""

    def accept(self, domain: tuple[Tensor, Tensor] | None) -> None:
        """Take the validation data, images and class indices, for ranges that need a domain and have none."""

    def to_pipeline(self) -> Pipeline | None:
        """The pipeline that draws from the law that was learned; None where there is but a curriculum."""
        return None

    def report(self) -> dict[str, float]:
        """What an epoch's row of the history says of the ranges."""
        return {"range": self.width}

    def end_epoch(self) -> None:
        """Warn of what has gone wrong by the end of an epoch."""

    def state(self) -> dict[str, Tensor]:
        """What :meth:`load` goes on from."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for name, value in state.items():
            setattr(self, name, value.clone())


class AutomaticRanges(Ranges):
    """Automatic domain randomization: every boundary widens while the accuracy at it holds.

    Half of the images are drawn with one coordinate at one of its boundaries. Once 64 of them have been seen there, the
    boundary moves out by 5% of the range if their accuracy is at least 0.9 of that of the images inside, and in if it
    is at most 0.7. OpenAI's thresholds are absolute; relative ones serve data sets of any difficulty. An image whose
    gate or selector leaves the coordinate without effect says nothing of the boundary, and counts as one inside.
    """

    scheduled: ClassVar[bool] = False
    learns_from: ClassVar[str | None] = "hits"

    def __init__(self, pipeline: Pipeline | None) -> None:
        super().__init__(pipeline)
        self.warm_up(FIRST_WIDTH)
        # Row 0 belongs to lower, row 1 to upper boundaries.
        self.hits, self.seen = torch.zeros(2, 2, len(self.movable), dtype=torch.float32)
        self.inside = torch.tensor([0.0, 0.0], dtype=torch.float32)  # hits and images, with exponential forgetting
        self._last: tuple[Tensor, Tensor] | None = None

    def place(self, draw: Draw) -> Draw:
        inside = super().place(draw)
        if not self.movable.any():
            return inside
        columns = self.movable.nonzero().squeeze(1)
        # The draw's own seeds decide, so that the same draw is placed in the same way.
        code = (draw.seeds.cpu() >> 20) % (1 << 30)
        at = (code % 1009) < BOUNDARY_SHARE * 1009
        coordinate = columns[(code // 1009) % len(columns)]
        side = (code // (1009 * len(columns))) % 2
        u = inside.u.cpu()
        for column in columns.tolist():
            at &= (coordinate != column) | self.coordinates[column].acts(u)
        self._last = (at, side * len(self.movable) + coordinate)
        rows = at.nonzero().squeeze(1)
        bounds = torch.stack((self.low, self.high))[side, coordinate].to(u)
        u = u.clone()
        u[rows, coordinate[rows]] = bounds[rows]
        return replace(inside, u=u.to(inside.u.device))

    def learn(self, values: Tensor, rows: Tensor) -> None:
        if self._last is None:
            return
        at, place = (part[rows] for part in self._last)
        hits = values.detach().float().cpu()
        self.inside = 0.9 * self.inside + torch.stack((hits[~at].sum(), (~at).sum().float()))
        self.hits.view(-1).index_add_(0, place[at], hits[at])
        self.seen.view(-1).index_add_(0, place[at], torch.ones(int(at.sum()), dtype=torch.float32))
        full = self.seen >= BUFFER
        if bool(full.any()) and self.inside[1] > 0:
            self._move(full)

    def _move(self, full: Tensor) -> None:
        share = self.hits / self.seen.clamp_min(1) / (self.inside[0] / self.inside[1]).clamp_min(1e-6)
        move = STEP * (full & (share >= HOLDS)).float() - STEP * (full & (share <= FAILS)).float()
        low, high = (self.low - move[0]).clamp(0, 0.5), (self.high + move[1]).clamp(0.5, 1)
        self.low = torch.where(self.movable, low, self.low)
        self.high = torch.where(self.movable, high, self.high)
        self.hits[full], self.seen[full] = 0.0, 0.0

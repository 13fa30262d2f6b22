"""The balls that an attack may search: one around each image of a call, with starts in it and sizes of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from art_domainrand.attacks.engine.best import Which, on
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.outside import BallFromOutside
from art_domainrand.attacks.engine.quantize import levels_of
from art_domainrand.attacks.engine.stage import Start
from art_domainrand.attacks.engine.starts import Starts
from art_domainrand.core import checks as check
from art_domainrand.core.norms import Ball, Size, ball, rows_of


class Balls:
    """Balls of one norm and radius ``eps``, a number or an array that broadcasts to the images, around ``inputs``.

    ``one_call`` is said in :class:`Starts`.

    :raises ValueError: if ``eps`` does not fit the images, or with ``quantize`` if these are not on 8-bit levels.
    """

    def __init__(self, inputs: Inputs, norm: Any, eps: Any, *, one_call: bool = False) -> None:
        self.inputs, self.norm, shape = inputs, check.norm_order(norm), tuple(inputs.x.shape)
        self.eps = check.sizes_for("eps", eps, self.norm, shape)
        self.one_call = one_call
        self._starts: Starts | None = None
        if inputs.config.quantize:  # say so before the work, not after
            for rows in inputs.batches():
                levels_of(self.around(rows))

    @property
    def starts(self) -> Starts:
        """Random starts, whose keys are made where they are needed."""
        if self._starts is None:
            keys = None if self.inputs.config.seed is None else self.inputs.keys
            self._starts = Starts(self.norm, tuple(self.inputs.x.shape), self.eps, keys, one_call=self.one_call)
        return self._starts

    def around(self, which: Which, factor: float = 1.0) -> Ball:
        """The balls around some images, ``factor`` times as large."""
        return self.over(self.inputs.images(which), which, factor)

    def over(self, images: Tensor, which: Which, factor: float = 1.0) -> Ball:
        """The balls around what some images have become."""
        inner = ball(self.norm, images, self.rows(self.eps, which) * factor, self.inputs.low, self.inputs.high)
        return BallFromOutside(inner) if self.inputs.outside else inner

    def rows(self, size: Size, which: Which, dtype: torch.dtype | None = None) -> Size:
        """Sizes of some images on the device; a plain number stays one."""
        if not isinstance(size, Tensor):
            return size
        index: Any = on(which, size)
        part = rows_of(size, self.inputs.x, index)
        assert isinstance(part, Tensor)
        return part.to(self.inputs.device, dtype)

    def step(self, eps_step: Any) -> Callable[[Which], Size]:
        """The function from images to the sizes of their steps."""
        size = check.sizes_for("eps_step", eps_step, self.norm, tuple(self.inputs.x.shape))
        return lambda which: self.rows(size, which, self.inputs.x.dtype)

    def start(self, *, at_random: bool, as_given: bool = False) -> Start:
        """Where restarts start: at the original, ``as_given`` also where it lies outside the box; or in the ball."""

        def chosen(stage: int, restart: int, around: Ball, which: Which) -> Tensor:
            if not at_random:
                return around.x if as_given else around.origin()
            return around.start(self.masked(self.starts.of(which, restart, stage, self.inputs.device), which))

        return chosen

    def masked(self, noise: Tensor, which: Which) -> Tensor:
        """Noise for some images, zero where their mask is."""
        mask = self.inputs.mask_of(which)
        return noise if mask is None else noise * mask

"""The range of pixel values: checked, mapped to [0, 1] and back, clipped to."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-5
"""By what share of the range a pixel may lie outside it: attacks and other defences overshoot by rounding."""

EIGHT_BIT = "divide x by 255, or set clip_values=(0, 255)"
LEFT_BY_ART = (
    "ART's randomized smoothing and UniversalPerturbation leave them before preprocessing: randomize in training only "
    "there (apply_predict=False)"
)


class ClipRange:
    """The pixel values from ``clip_values[0]`` to ``clip_values[1]``, numbers or arrays that broadcast to one image.

    Raises ValueError unless both are finite and the first is below the second everywhere.
    """

    def __init__(self, clip_values: tuple[Any, Any]) -> None:
        try:
            low, high = (np.asarray(value, dtype=np.float64) for value in clip_values)
        except (TypeError, ValueError):
            raise ValueError(f"clip_values must be a pair (min, max), got {clip_values!r}") from None
        if not (np.isfinite(low).all() and np.isfinite(high).all() and np.all(low < high)):
            raise ValueError(f"clip_values must be finite with min < max, got min={low}, max={high}")
        self._low, self._high = torch.from_numpy(low.copy()), torch.from_numpy(high.copy())
        self._is_unit = bool(np.all(low == 0) and np.all(high == 1))
        self._placed: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_placed": {}}

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both ends in the dtype and on the device of ``x``; copied there once."""
        key = (x.dtype, x.device)
        if key not in self._placed:
            with torch.inference_mode(False):
                self._placed[key] = (self._low.to(x), self._high.to(x))
        return self._placed[key]

    def to_unit(self, x: Tensor) -> Tensor:
        """Map the range to [0, 1]."""
        if self._is_unit:
            return x
        low, high = self.bounds(x)
        return (x - low) / (high - low)

    def from_unit(self, x: Tensor) -> Tensor:
        """Map [0, 1] to the range."""
        if self._is_unit:
            return x
        low, high = self.bounds(x)
        return x * (high - low) + low

    def check(self, x: Tensor) -> None:
        """Raise ValueError if a value of ``x`` is NaN or outside the range; waits for the device."""
        if x.numel() == 0:
            return
        # Over the batch first: the extremes of each feature are compared with the bounds of that feature.
        pixels = x.detach()
        if self._low.numel() == 1 and self._high.numel() == 1:
            smallest, largest = torch.aminmax(pixels)
        else:
            smallest, largest = pixels.amin(0), pixels.amax(0)
        smallest, largest = smallest.cpu().double(), largest.cpu().double()
        if not (smallest - largest).isfinite().all():
            raise ValueError(f"x must be finite, got {int((~x.isfinite()).sum())} NaN or infinite values")
        share = max(TOLERANCE, torch.finfo(x.dtype).eps) if x.is_floating_point() else TOLERANCE
        slack = share * (self._high - self._low)
        if (smallest < self._low - slack).any() or (largest > self._high + slack).any():
            ends = f"[{float(self._low.min()):g}, {float(self._high.max()):g}]"
            got = f"from {float(smallest.min()):g} to {float(largest.max()):g}"
            eight_bit = float(largest.max()) > 2 * max(1.0, float(self._high.max()))
            advice = EIGHT_BIT if eight_bit else LEFT_BY_ART
            raise ValueError(f"x must lie within clip_values {ends}, got values {got}; {advice}")

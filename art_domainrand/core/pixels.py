"""The range of pixel values: checked, mapped to [0, 1] and back, clipped to."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-5
"""By what share of the range a pixel may lie outside it: attacks and other defences overshoot by rounding."""

EIGHT_BIT = "divide x by 255, or set clip_values=(0, 255)"
CLIP = "clip x, or set the clip_values that x has"
NORMALISED = (
    "if x is normalised by a mean and std, give the estimator preprocessing=(mean, std) and x as it is without, or set "
    "the clip_values that x has"
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
        self._said = False
        self._placed: dict[tuple[torch.dtype, torch.device, torch.Size], tuple[Tensor, Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_placed": {}}

    def bounds(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both ends in the dtype and on the device of ``x`` (N, ...), and as its features lie; copied there once."""
        key = (x.dtype, x.device, x.shape[1:])
        if key not in self._placed:
            with torch.inference_mode(False):
                low, high = bounds_of_features(self._low, self._high, tuple(x.shape[1:]))
                self._placed[key] = (low.to(x), high.to(x))
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
        said = outside(x, *bounds_of_features(self._low, self._high, tuple(x.shape[1:])))
        if said is not None:
            raise ValueError(f"x must {said}")

    def check_or_warn(self, x: Tensor) -> None:
        """Say once if some of ``x`` is outside the range; ValueError as in :func:`outside`; waits for the device."""
        said = outside(x, *bounds_of_features(self._low, self._high, tuple(x.shape[1:])))
        if said is not None and not self._said:
            self._said = True
            warnings.warn(f"x should {said}; it is clipped before it is randomized", RuntimeWarning, stacklevel=4)


def bounds_of_features(low: Tensor, high: Tensor, features: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """``clip_values`` as two tensors that broadcast against images (N, *features).

    As in ART they may have an axis for the batch, too; flat ones of all features are taken as an estimator has them.

    :raises ValueError: for any other shape.
    """
    return _bound_of_features(low, features), _bound_of_features(high, features)


def _bound_of_features(bound: Tensor, features: tuple[int, ...]) -> Tensor:
    shape = tuple(bound.shape)
    if bound.dim() == len(features) + 1 and shape[0] == 1:
        bound = bound[0]
    elif len(features) > 1 and bound.dim() == 1 and bound.numel() == math.prod(features):
        bound = bound.reshape(features)
    try:
        fits = np.broadcast_shapes(tuple(bound.shape), features) == features
    except ValueError:
        fits = False
    if not fits:
        channels = (len(bound), *[1] * (len(features) - 1)) if bound.dim() == 1 and len(bound) == features[0] else None
        advice = "" if channels is None else f"; a value for each channel has shape {channels}"
        raise ValueError(f"clip_values must be numbers or broadcast to features {features}, got shape {shape}{advice}")
    return bound


def outside(x: Tensor, low: Tensor, high: Tensor) -> str | None:
    """What to say of the first value of ``x`` (N, ...) outside ``low`` to ``high``, None if all are inside.

    The bounds broadcast to ``x``; rounding (:data:`TOLERANCE`) does not count. Waits for the device.

    :raises ValueError: for NaN and infinite values, and for what can only be 8-bit pixels where the range is not.
    """
    if x.numel() == 0:
        return None
    pixels = x.detach()
    low, high = low.cpu().double(), high.cpu().double()
    if low.numel() == 1 and high.numel() == 1:
        smallest, largest = torch.aminmax(pixels)
    else:  # over the batch first: the extremes of each feature are compared with the bounds of that feature
        smallest, largest = pixels.amin(0), pixels.amax(0)
    smallest, largest = smallest.cpu().double(), largest.cpu().double()
    if not (smallest - largest).isfinite().all():
        raise ValueError(f"x must be finite, got {int((~pixels.isfinite()).sum())} NaN or infinite values")
    slack = max(TOLERANCE, torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0) * (high - low)
    if not ((smallest < low - slack).any() or (largest > high + slack).any()):
        return None
    # A sample is outside if one of its pixels is; only the first such sample is looked at pixel by pixel.
    least, most = (bound.to(x.device) for bound in (low - slack, high + slack))
    first = next(i for i, image in enumerate(pixels) if ((image < least) | (image > most)).any())
    image = pixels[first].cpu().double()
    place = tuple(((image < low - slack) | (image > high + slack)).nonzero()[0].tolist())
    ends = ", ".join(f"{float(bound.expand(image.shape)[place]):g}" for bound in (low, high))
    got = f"{float(image[place]):.6g} at x[{', '.join(map(str, (first, *place)))}]"
    sentence = f"lie within clip_values [{ends}], got {got}"
    width = float((high - low).max())
    # Negative pixels cannot be 8-bit, and noise seldom doubles the range.
    if float(smallest.min()) >= 0 and float(largest.max()) > 2 * max(1.0, float(high.max())):
        raise ValueError(f"x must {sentence}; {EIGHT_BIT}")
    far = float((low - smallest).max()) > width / 2
    return f"{sentence}; {NORMALISED if far else CLIP}"

"""What is asked of images and seeds that come straight from a user."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def as_python(value: Any) -> Any:
    """Numbers and text of NumPy (and fractions) as Python's own, in lists and tuples, too; arrays as tuples.

    So that arguments are equal, and can be written as JSON or YAML, whichever library they come from. Everything else
    is returned as it is.
    """
    if isinstance(value, np.ndarray):
        return as_python(value.item()) if value.ndim == 0 else tuple(as_python(one) for one in value)
    if type(value) in (list, tuple):
        return type(value)(as_python(one) for one in value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(value, Integral):
        return value if isinstance(value, int) else int(value)
    if isinstance(value, Real):
        return float(value)
    return value


def check_images(x: Tensor) -> None:
    """Raise ValueError unless ``x`` is a batch of images or videos, floating."""
    if not isinstance(x, Tensor) or x.dim() not in (4, 5):
        shape = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x must be a (B, C, H, W) tensor or a video (B, T, C, H, W), got {shape}")
    if not x.is_floating_point():
        raise ValueError(f"x must be floating with values in [0, 1], got {x.dtype}")


def as_images(name: str, x: Any) -> Tensor:
    """Read a floating batch (B, C, H, W), tensor or array, as a tensor; else ValueError."""
    if not isinstance(x, (Tensor, np.ndarray)) or x.ndim != 4:
        got = f"shape {tuple(x.shape)}" if isinstance(x, (Tensor, np.ndarray)) else type(x).__name__
        raise ValueError(f"{name} must be a (B, C, H, W) tensor or array, got {got}")
    if not (x.is_floating_point() if isinstance(x, Tensor) else x.dtype.kind == "f"):
        raise ValueError(f"{name} must be floating with values in [0, 1], got {x.dtype}")
    warn_of_layout(name, x.shape, channels_first=True)
    return x if isinstance(x, Tensor) else from_array(x).clone()


def from_array(x: NDArray[Any]) -> Tensor:
    """``x`` as a tensor, copied if it is turned round (negative strides), read-only or in a foreign byte order."""
    native = x.astype(x.dtype.newbyteorder("="), copy=False)
    shareable = native.flags.writeable and min(native.strides, default=0) >= 0
    return torch.from_numpy(native if shareable else native.copy())


def warn_of_layout(name: str, shape: Sequence[int], *, channels_first: bool, stacklevel: int = 3) -> None:
    """Warn if images or videos of this shape seem to have their channels at the other end than is said."""
    channels, other = (shape[-3], shape[-1]) if channels_first else (shape[-1], shape[-3])
    if channels > 4 and other in (1, 3):
        warnings.warn(
            f"{name} of shape {tuple(shape)} has {channels} channels if channels_first={channels_first}; "
            "is it in the other layout?",
            stacklevel=stacklevel,
        )


def widened(x: Tensor) -> Tensor:
    """``x`` in a dtype that arithmetic can be done in: float16 and bfloat16 as float32, the others as they are."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def check_unit_range(name: str, x: Tensor) -> None:
    """Raise ValueError if a value is NaN or, by more than rounding, outside [0, 1]; waits for the device."""
    if x.numel() == 0:
        return
    low, high = (value.item() for value in torch.aminmax(x.detach()))
    if not (low >= -1e-5 and high <= 1 + 1e-5):  # false for NaN, too
        raise ValueError(f"{name} must lie within [0, 1], got values from {low:g} to {high:g}")

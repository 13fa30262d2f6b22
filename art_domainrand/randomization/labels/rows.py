"""Labels of many images as one table, whatever they came in."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The labels of B images as ``table`` (B, N, K), float64, N being the longest (and at least one), zeros below."""

    table: Tensor
    labels: Tensor | Sequence[Tensor]

    @classmethod
    def read(
        cls, name: str, labels: Tensor | Sequence[Tensor], widths: tuple[int, ...], device: torch.device
    ) -> LabelTable:
        """Read a tensor (B, ..., K) or a list of B tensors (..., K); K must be one of ``widths``, else ValueError."""
        parts = list(labels)
        if not all(isinstance(part, Tensor) for part in parts):
            raise ValueError(f"{name} must be tensors, got {[type(part).__name__ for part in parts]}")
        found = {part.shape[-1] if part.dim() else 0 for part in parts}
        if len(found) > 1 or not found <= set(widths):
            wanted = " or ".join(map(str, widths))
            raise ValueError(f"{name} must have {wanted} columns, got shapes {[tuple(part.shape) for part in parts]}")
        width = parts[0].shape[-1] if parts else widths[0]
        empty = torch.zeros(1, width, dtype=torch.float64, device=device)
        tables = [part.reshape(-1, width).to(empty) for part in parts]
        padded = pad_sequence([*tables, empty], batch_first=True)[:-1]
        return cls(padded, labels)

    def write(self, table: Tensor) -> Any:
        """Bring ``table`` into the form of the labels: shapes, dtypes (integers become float32) and devices."""
        parts = [
            rows[: part.shape[:-1].numel()].view(part.shape).to(part.device, _floating(part.dtype))
            for rows, part in zip(table, self.labels, strict=True)
        ]
        if not isinstance(self.labels, Tensor):
            return parts
        return torch.stack(parts) if parts else self.labels


def check_boxes(table: Tensor) -> None:
    """Raise ValueError for boxes (B, N, 4) that are not finite; warn of a second corner left of or above the first."""
    broken = ~table.isfinite().all(2)
    if broken.any():
        raise ValueError(f"boxes must be finite, got {table[broken][0].tolist()}")
    turned = (table[..., 2:] < table[..., :2]).any(2)
    if turned.any():
        warnings.warn(
            f"boxes must be (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2, got {table[turned][0].tolist()}, read as the "
            "box between these corners; is it (x, y, width, height)?",
            stacklevel=3,
        )


def check_fill(fill: float | None, dtype: torch.dtype) -> None:
    """Raise ValueError unless ``fill`` is None or a finite number that ``dtype`` can hold."""
    if fill is None:
        return
    number = isinstance(fill, Real) and math.isfinite(fill)
    if number and not dtype.is_floating_point:
        low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
        number = low <= fill <= high and fill == int(fill)
    if not number:
        raise ValueError(f"fill must be None or a number that {dtype} masks can hold, got {fill!r}")


def _floating(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.float32

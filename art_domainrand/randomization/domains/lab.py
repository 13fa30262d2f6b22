"""CIELAB, with a gradient at black and beyond [0, 1]: sRGB under D65, IEC 61966-2-1 and CIE 15."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from art_domainrand.randomization.numerics.color_maps import apply_color
from art_domainrand.randomization.numerics.matrices import Rows, constant

# Linear sRGB to XYZ divided by the white point, so that white is (1, 1, 1), and back.
_XYZ = torch.tensor(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    dtype=torch.float64,
)
_XYZ = _XYZ / _XYZ.sum(dim=1, keepdim=True)
# From the three cube roots to L, a, b, in units of 100 to keep all three of the size of a pixel value.
_LAB = torch.tensor([[0.0, 1.16, 0.0], [5.0, -5.0, 0.0], [0.0, 2.0, -2.0]], dtype=torch.float64)
_BLACK = torch.tensor([-0.16, 0.0, 0.0], dtype=torch.float64)


def _rows(gains: Tensor, offset: Tensor) -> Rows:
    return tuple((*row, end) for row, end in zip(gains.tolist(), offset.tolist(), strict=True))


_NONE = torch.zeros(3, dtype=torch.float64)
_TO_XYZ, _TO_RGB = _rows(_XYZ, _NONE), _rows(torch.linalg.inv(_XYZ), _NONE)
_TO_LAB, _FROM_LAB = _rows(_LAB, _BLACK), _rows(torch.linalg.inv(_LAB), -torch.linalg.inv(_LAB) @ _BLACK)


def rgb_to_lab(x: Tensor) -> Tensor:
    """L, a and b of sRGB pixels (B, 3, H, W), all three divided by 100."""
    linear = _curve(x, 0.04045, 1 / 12.92, lambda bright: _power((bright + 0.055) / 1.055, 2.4))
    xyz = _mix(linear, _TO_XYZ)
    # 24/116 cubed and the slope there: below, the cube root goes on as a straight line.
    roots = torch.where(
        xyz > (6 / 29) ** 3, _power(xyz.clamp_min((6 / 29) ** 3), 1 / 3), xyz * (29**2 / (3 * 36)) + 4 / 29
    )
    return _mix(roots, _TO_LAB)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of :func:`rgb_to_lab`, not clipped."""
    roots = _mix(lab, _FROM_LAB)
    xyz = torch.where(roots > 6 / 29, roots.clamp_min(6 / 29) ** 3, (roots - 4 / 29) * (3 * 36 / 29**2))
    return _curve(_mix(xyz, _TO_RGB), 0.0031308, 12.92, lambda bright: 1.055 * _power(bright, 1 / 2.4) - 0.055)


def _curve(x: Tensor, knee: float, slope: float, bright: Callable[[Tensor], Tensor]) -> Tensor:
    """A straight line up to ``knee`` and a power above, which never sees what lies below: no NaN in its gradient."""
    return torch.where(x > knee, bright(x.clamp_min(knee)), x * slope)


def _mix(x: Tensor, rows: Rows) -> Tensor:
    return apply_color(x, constant(rows, x.dtype, x.device).expand(len(x), 3, 4))


def _power(base: Tensor, exponent: float) -> Tensor:
    """``base``, above zero, to a power; torch's own rounds the end of a row of memory differently."""
    return torch.exp(exponent * torch.log(base))

"""Rounding adversarial examples to the 8-bit levels in which images are stored."""

import torch
from torch import Tensor

from art_domainrand.core.checks import Text, require
from art_domainrand.core.norms import Ball, lp_norm

LEVELS = 255
# How far a pixel may be from a level and still count as stored in 8 bits, in levels: float32 rounding of k / 255.
ON_LEVEL = 1e-2
# eps = 8 / 255 is eight levels, although 8 / 255 * 255 may be a little less in floating point.
BUDGET_SLACK = 1e-4


def to_levels(adv: Tensor, ball: Ball) -> Tensor:
    """Round ``adv`` (B, ...) to 8-bit levels of the box without leaving the ball.

    Changes are whole numbers of levels. In L-inf each is rounded to the nearest and bounded by the budget in whole
    levels; in other norms samples that rounding takes out of the ball are truncated towards ``ball.x`` instead. The
    budget is kept in units of levels, and so up to float32's rounding of them. Pixels that do not change keep their
    bits.
    """
    low, unit = levels_of(ball)
    budget = torch.as_tensor(ball.eps, dtype=torch.float64, device=adv.device) / unit * (1 + 1e-6) + BUDGET_SLACK
    base = ((ball.x.double() - low) / unit).round()
    change = (adv.double() - low) / unit - base
    rounded = change.round()
    if ball.norm == torch.inf:
        rounded = torch.maximum(torch.minimum(rounded, budget.floor()), -budget.floor())
    else:
        rounded = torch.where(lp_norm(rounded, ball.norm) <= budget, rounded, change.trunc())
    moved = ((base + rounded).clamp(0, LEVELS) * unit + low).to(adv.dtype)
    return torch.where(rounded == 0, ball.x, moved)


def levels_of(ball: Ball) -> tuple[Tensor, Tensor]:
    """The lowest level and the distance between two, in float64; ValueError unless the images lie on the levels."""
    if ball.low is None or ball.high is None:
        raise ValueError("clip_values must be given with quantize, to say what the 256 levels are, got None")
    low = ball.low.double()
    unit = (ball.high.double() - low) / LEVELS
    level = (ball.x.double() - low) / unit
    off = (level - level.round()).abs() > ON_LEVEL
    if bool(off.any()):
        first = ball.x[tuple(off.nonzero()[0])]
        require(False, "x", "hold 8-bit levels of clip_values with quantize", Text(f"{float(first):.6g}"))
    return low, unit

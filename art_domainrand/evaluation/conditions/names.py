"""How norms, radii and attacks are called in tables and documents."""

from __future__ import annotations

import math
from typing import Any

from art_domainrand.core.checks import norm_order

NORMS = {"linf": math.inf, "l2": 2.0, "l1": 1.0, "l0": 0.0}
"""The norms by the names that tables and documents use; "l0" counts the elements of an image that differ."""

BALLS = ("linf", "l2", "l1")
"""The norms whose balls gradients search; in L0 there are closest examples alone."""

COMPOSITE_ORDERS = ("joint", "domain_first", "pixels_first")
"""What comes first of domain and pixels, by the names of :class:`~art_domainrand.CompositeAttack`."""


def norm_name(norm: Any) -> str:
    """The name of a norm ("linf", "l2", "l1" or "l0"), however it is written; ValueError for another norm."""
    text = str(norm).lower().replace("-", "").replace("_", "")
    if text in NORMS:
        return text
    if text in ("0", "0.0"):
        return "l0"
    try:
        order = norm_order(norm)
    except ValueError:
        order = math.nan
    for name, value in NORMS.items():
        if order == value:
            return name
    raise ValueError(f"norm must be one of {list(NORMS)}, got {norm!r:.80}")


def attack_name(attack: Any) -> str:
    """What an attack is called; a method that makes attacks like the one that has it, as that one."""
    owner = getattr(attack, "__self__", None)
    if hasattr(owner, "generate") and not isinstance(owner, type):
        return type(owner).__name__
    return attack if isinstance(attack, str) else getattr(attack, "__name__", type(attack).__name__)


def eps_text(eps: float) -> str:
    """A radius as people write it: 0.2 as that, else in 255ths where it is a whole number of them, else as a number."""
    levels, number = eps * 255, f"{eps:g}"
    whole = 0 < eps < 1 and abs(levels - round(levels)) < 1e-4 and len(number) > len("0.2")
    return f"{round(levels)}/255" if whole else number

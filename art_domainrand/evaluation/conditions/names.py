"""How norms, radii and attacks are called in tables and documents."""

from __future__ import annotations

from typing import Any

from art_domainrand.core.radii import NORMS as NORMS
from art_domainrand.core.radii import norm_name as norm_name

BALLS = ("linf", "l2", "l1")
"""The norms whose balls gradients search; in L0 there are closest examples alone."""

COMPOSITE_ORDERS = ("joint", "domain_first", "pixels_first")
"""What comes first of domain and pixels, by the names of :class:`~art_domainrand.CompositeAttack`."""


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

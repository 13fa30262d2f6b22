"""What the parts of a condition may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require
from art_domainrand.core.radii import read_eps as read_eps


def write_eps(eps: float) -> float | str:
    """A radius for a document: in 255ths where that is the same number, else as it is."""
    levels = round(eps * 255) if eps < 1 else 0
    return f"{levels}/255" if levels and levels / 255 == eps else eps


def checked_eps(eps: Any) -> float:
    """A radius as a Python float, from a text such as "8/255" too; ValueError for what is none."""
    if isinstance(eps, str):
        return read_eps(eps)
    number = isinstance(eps, (int, float, np.integer, np.floating)) and not isinstance(eps, bool)
    require(number and 0 <= eps < math.inf, "eps", "be a finite number >= 0", eps)
    return float(eps)


def check_named(argument: str, name: Any, known: Sequence[str]) -> None:
    """Refuse a name that is not among the ``known`` ones, with the nearest."""
    found = isinstance(name, str) and name in known
    near = nearest(name, known) if isinstance(name, str) else ""
    require(found, argument, f"be one of {list(known)}", Text(f"{name!r:.80}{near}"))


def check_count(argument: str, value: Any) -> None:
    """Refuse what is no int >= 1."""
    number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    require(number and value >= 1, argument, "be an int >= 1", value)


def check_severity(severity: Any) -> None:
    """Refuse what is no int from 1 to 5."""
    number = isinstance(severity, (int, np.integer)) and not isinstance(severity, bool)
    require(number and 1 <= severity <= 5, "severity", "be an int from 1 to 5", severity)

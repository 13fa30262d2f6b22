"""Norms and radii as people write them, read without torch: a command refuses a wrong one before that is imported."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from art_domainrand.core.arguments import Text, require

NORMS = {"linf": math.inf, "l2": 2.0, "l1": 1.0, "l0": 0.0}
"""The norms by the names that tables and documents use; "l0" counts the elements of an image that differ."""

LONGEST_NUMBER = 40
"""How many characters a number may have."""
NUMBER = r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
"""A number >= 0 as people write it."""


def norm_name(norm: Any) -> str:
    """The name of a norm ("linf", "l2", "l1" or "l0"), however it is written; ValueError for another norm."""
    text = str(norm).lower().replace("-", "").replace("_", "")
    if text in NORMS:
        return text
    if text in ("0", "0.0"):
        return "l0"
    try:
        order = math.nan if isinstance(norm, bool) or (isinstance(norm, str) and norm != "inf") else float(norm)
    except (TypeError, ValueError):
        order = math.nan
    for name, value in NORMS.items():
        if order == value:
            return name
    raise ValueError(f"norm must be one of {list(NORMS)}, got {norm!r:.80}")


def read_eps(value: Any, argument: str = "eps") -> float:
    """A radius as a config or a command has it: a number, or a text such as "8/255" or "1e-3".

    :param value: the number or text.
    :param argument: what it is called in an error.
    :raises ValueError: for anything else.
    """
    rule = 'be a finite number >= 0 or a text such as "8/255"'
    if isinstance(value, str):
        found = re.fullmatch(rf"\s*({NUMBER})\s*(?:/\s*({NUMBER})\s*)?", value[:LONGEST_NUMBER])
        got = Text(f"{value!r:.80}")
        require(found is not None and len(value) <= LONGEST_NUMBER, argument, rule, got)
        assert found is not None
        above, below = float(found[1]), float(found[4] or 1)
        require(below > 0 and math.isfinite(above / below), argument, rule, got)
        return above / below
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    require(number and 0 <= value <= sys.float_info.max, argument, rule, Text(f"{value!r:.80}"))
    return float(value)

"""Numbers and names as a page shows them."""

from __future__ import annotations

import math
import re
from typing import Any

from art_domainrand.evaluation.results import Row

MISSING = "\N{EN DASH}"
"""What stands where there is no number."""

LONGEST_NAME = 200
"""Characters of a name that are shown; file names and labels of data sets may be of any length."""


def visible(text: str) -> str:
    """The text with escapes for what cannot be seen or written, and very long words cut short.

    That is control characters, lone surrogates and what turns the direction of reading.
    """
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    return "\n".join(" ".join(map(shortened, line.split(" "))) for line in shown.split("\n"))


def name_text(name: str) -> str:
    """A name that can be seen, whatever it is."""
    return name if name.strip() else "(no name)"


def shortened(text: str, length: int = LONGEST_NAME) -> str:
    """The text, with its middle left out where it is longer than ``length``."""
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def share_text(share: float | None) -> str:
    """A share in [0, 1] in percent; what there is not is a dash."""
    return f"{100 * share:.1f}%" if share is not None and math.isfinite(share) else MISSING


def css_text(share: float) -> str:
    """A share in [0, 1] as a style sheet takes it."""
    return f"{100 * share:.4g}%"


def interval_text(row: Row) -> str:
    """The 95% interval of an accuracy, in percent."""
    return f"{100 * row.low:.1f} to {100 * row.high:.1f}%"


def code_text(code: str) -> str:
    """A text as code in Markdown: between more backticks than it holds in a row."""
    line = " ".join(visible(code).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}"


def points_text(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.1f}"


def p_text(p: float) -> str:
    """A p-value to two digits; small ones need no more than their size."""
    return f"{p:.2g}" if p >= 0.001 else "below 0.001"


def number_text(value: float) -> str:
    """A number to about three digits, without needless zeros."""
    if not math.isfinite(value):
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration_text(seconds: float) -> str:
    """A time in the largest two units."""
    if not math.isfinite(seconds) or seconds < 0:
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bytes_text(size: float) -> str:
    """A size in the unit that suits it."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError  # pragma: no cover


def count_text(n: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun, such as "1 image" and "2,000 images"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def value_text(value: Any) -> str:
    """A value of a manifest as one line."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: MISSING}[value]
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {value_text(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(value_text, value))
    return str(value)

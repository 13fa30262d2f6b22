"""What can be said by name, and what both the ranges and their settings check."""

from numbers import Real
from typing import Any

from art_domainrand.core.checks import require

RANGE_FAMILIES = ("beta", "box")
"""Of which law a learned range is."""
META_METHODS = ("exact", "differences")
"""How the gradient through a training step is found."""


def check_kept(kept: Any) -> None:
    """Check the share of images that the pipeline's own law keeps."""
    fits = isinstance(kept, Real) and not isinstance(kept, bool) and 0 <= float(kept) < 1
    require(fits, "kept", "be a number in [0, 1)", kept)

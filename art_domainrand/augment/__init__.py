"""Folders of images, augmented: the originals and randomized copies, resumable and the same however they were made."""

import warnings
from typing import Any

from art_domainrand.augment.run import AugmentReport, augment_folder

__all__ = ["AugmentReport", "augment_folder"]


def __getattr__(name: str) -> Any:
    if name == "Report":
        warnings.warn("Report is deprecated, say AugmentReport", DeprecationWarning, stacklevel=2)
        return AugmentReport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

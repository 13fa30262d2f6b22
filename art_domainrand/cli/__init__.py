"""The ``art-domainrand`` command. Nothing else in the package prints."""

from art_domainrand.cli import (  # each adds its command
    attack,
    augment,
    benchmark,
    catalogue,
    compare,
    demo,
    evaluate,
    gallery,
    report,
)
from art_domainrand.cli.app import app

__all__ = ["app", "attack", "augment", "benchmark", "catalogue", "compare", "demo", "evaluate", "gallery", "report"]

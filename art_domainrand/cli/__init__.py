"""The ``art-domainrand`` command. Nothing else in the package prints."""

from art_domainrand.cli import augment, catalogue, demo, gallery  # each adds its command
from art_domainrand.cli.app import app

__all__ = ["app", "augment", "catalogue", "demo", "gallery"]

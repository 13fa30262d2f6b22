"""The ``art-domainrand`` command. Nothing else in the package prints."""

from . import augment, catalogue, demo, gallery  # each adds its command
from .app import app

__all__ = ["app", "augment", "catalogue", "demo", "gallery"]

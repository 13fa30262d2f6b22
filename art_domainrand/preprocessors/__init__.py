"""ART preprocessing defences built on :mod:`art_domainrand.randomization`."""

from .domain_mapping import DomainMapping
from .domain_randomization import DomainRandomization

__all__ = ["DomainMapping", "DomainRandomization"]

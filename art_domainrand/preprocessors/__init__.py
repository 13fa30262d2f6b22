"""ART preprocessing defences built on :mod:`art_domainrand.randomization`."""

from .domain_randomization import DomainRandomization

__all__ = ["DomainRandomization"]

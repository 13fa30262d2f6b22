"""ART preprocessing defences built on :mod:`art_domainrand.randomization`."""

from .differentiable import DifferentiableDefence
from .domain_mapping import DomainMapping
from .domain_randomization import DomainRandomization

__all__ = ["DifferentiableDefence", "DomainMapping", "DomainRandomization"]

"""ART preprocessing defences built on :mod:`art_domainrand.randomization`."""

from art_domainrand.preprocessors.differentiable import DifferentiableDefence
from art_domainrand.preprocessors.domain_mapping import DomainMapping
from art_domainrand.preprocessors.domain_randomization import DomainRandomization

__all__ = ["DifferentiableDefence", "DomainMapping", "DomainRandomization"]

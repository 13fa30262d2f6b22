"""Domains: named ones, and those of reference images.

Every domain is a transform that fits into any pipeline; ``domain_mapping`` applies one in a single call.
"""

from art_domainrand.randomization.domains.domain import Domain
from art_domainrand.randomization.domains.mapping import domain_mapping, domain_pipeline
from art_domainrand.randomization.domains.named import DOMAINS
from art_domainrand.randomization.domains.references import REFERENCE_METHODS, Fourier, Histogram, Moments, Reinhard
from art_domainrand.randomization.domains.unforeseen import UNFORESEEN_DOMAINS, UnforeseenDomain

__all__ = [
    "DOMAINS",
    "REFERENCE_METHODS",
    "UNFORESEEN_DOMAINS",
    "Domain",
    "Fourier",
    "Histogram",
    "Moments",
    "Reinhard",
    "UnforeseenDomain",
    "domain_mapping",
    "domain_pipeline",
]

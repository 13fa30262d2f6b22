"""Networks that are trained to make images: perturbations, and images of another domain."""

from art_domainrand.generative.domain import DomainGenerator
from art_domainrand.generative.record import FitRecord

__all__ = ["DomainGenerator", "FitRecord"]

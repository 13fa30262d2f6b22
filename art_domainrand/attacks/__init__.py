"""Gradient attacks under ART's attack interface."""

from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.pgd import PGD

__all__ = ["FGSM", "PGD"]

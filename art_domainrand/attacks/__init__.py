"""Gradient attacks under ART's attack interface."""

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.composite import CompositeAttack, carben_attack
from art_domainrand.attacks.domain import DomainAttack, grid_attack, worst_of
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.findings import Findings
from art_domainrand.attacks.pgd import PGD
from art_domainrand.attacks.strongest import StrongestAttack
from art_domainrand.attacks.union import UnionAttack
from art_domainrand.attacks.union_findings import UnionFindings

__all__ = [
    "FGSM",
    "PGD",
    "AutoPGD",
    "CompositeAttack",
    "DomainAttack",
    "Findings",
    "StrongestAttack",
    "UnionAttack",
    "UnionFindings",
    "carben_attack",
    "grid_attack",
    "worst_of",
]

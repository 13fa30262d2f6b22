"""Attacks under ART's attack interface."""

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.composite import CompositeAttack, carben_attack
from art_domainrand.attacks.domain import DomainAttack, grid_attack, worst_of
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.findings import Findings
from art_domainrand.attacks.minimum.closest import Closest
from art_domainrand.attacks.minimum_norm import MinimumNorm
from art_domainrand.attacks.perturbation_generator import PerturbationGenerator
from art_domainrand.attacks.pgd import PGD
from art_domainrand.attacks.robustness import empirical_robustness
from art_domainrand.attacks.square import Square
from art_domainrand.attacks.strongest import StrongestAttack
from art_domainrand.attacks.union import UnionAttack
from art_domainrand.attacks.union_findings import UnionFindings

__all__ = [
    "FGSM",
    "PGD",
    "AutoPGD",
    "Closest",
    "CompositeAttack",
    "DomainAttack",
    "Findings",
    "MinimumNorm",
    "PerturbationGenerator",
    "Square",
    "StrongestAttack",
    "UnionAttack",
    "UnionFindings",
    "carben_attack",
    "empirical_robustness",
    "grid_attack",
    "worst_of",
]

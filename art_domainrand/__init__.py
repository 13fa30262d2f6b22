"""Gradient attacks and domain randomization for the Adversarial Robustness Toolbox (ART)."""

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.composite import CompositeAttack
from art_domainrand.attacks.domain import DomainAttack, grid_attack, worst_of
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.pgd import PGD
from art_domainrand.attacks.strongest import StrongestAttack
from art_domainrand.evaluation.diagnose.diagnose import diagnose
from art_domainrand.preprocessors.differentiable import DifferentiableDefence
from art_domainrand.preprocessors.domain_mapping import DomainMapping
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.randomization.domains import domain_mapping
from art_domainrand.training.attacks import use_attack
from art_domainrand.training.data.generator import RandomizedDataGenerator
from art_domainrand.training.fitting import fit_randomized
from art_domainrand.training.module import randomized
from art_domainrand.training.paired import paired
from art_domainrand.training.trainer.trainer import DomainAdversarialTrainer

__version__ = "0.1.0"
__docformat__ = "restructuredtext"

__all__ = [
    "FGSM",
    "PGD",
    "AutoPGD",
    "CompositeAttack",
    "DifferentiableDefence",
    "DomainAdversarialTrainer",
    "DomainAttack",
    "DomainMapping",
    "DomainRandomization",
    "RandomizedDataGenerator",
    "StrongestAttack",
    "diagnose",
    "domain_mapping",
    "fit_randomized",
    "grid_attack",
    "paired",
    "randomized",
    "use_attack",
    "worst_of",
]

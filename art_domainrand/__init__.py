"""Gradient attacks and domain randomization for the Adversarial Robustness Toolbox (ART).

A name is imported when it is first asked for: torch and ART take seconds, for which ``art-domainrand --help`` and the
completion of a command line need not wait.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from art_domainrand.attacks.apgd import AutoPGD
    from art_domainrand.attacks.composite import CompositeAttack, carben_attack
    from art_domainrand.attacks.domain import DomainAttack, grid_attack, worst_of
    from art_domainrand.attacks.fgsm import FGSM
    from art_domainrand.attacks.minimum_norm import MinimumNorm
    from art_domainrand.attacks.perturbation_generator import PerturbationGenerator
    from art_domainrand.attacks.pgd import PGD
    from art_domainrand.attacks.square import Square
    from art_domainrand.attacks.strongest import StrongestAttack
    from art_domainrand.attacks.union import UnionAttack
    from art_domainrand.evaluation.diagnose.diagnose import diagnose
    from art_domainrand.generative.domain import DomainGenerator
    from art_domainrand.preprocessors.differentiable import DifferentiableDefence
    from art_domainrand.preprocessors.domain_mapping import DomainMapping
    from art_domainrand.preprocessors.domain_randomization import DomainRandomization
    from art_domainrand.randomization.domains import domain_mapping
    from art_domainrand.randomization.learned.ranges import LearnableRanges
    from art_domainrand.randomization.modalities.multimodal import MultiModal
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
    "DomainGenerator",
    "DomainMapping",
    "DomainRandomization",
    "LearnableRanges",
    "MinimumNorm",
    "MultiModal",
    "PerturbationGenerator",
    "RandomizedDataGenerator",
    "Square",
    "StrongestAttack",
    "UnionAttack",
    "carben_attack",
    "diagnose",
    "domain_mapping",
    "fit_randomized",
    "grid_attack",
    "paired",
    "randomized",
    "use_attack",
    "worst_of",
]

_HOMES = {
    "AutoPGD": "art_domainrand.attacks.apgd",
    "CompositeAttack": "art_domainrand.attacks.composite",
    "carben_attack": "art_domainrand.attacks.composite",
    "DomainAttack": "art_domainrand.attacks.domain",
    "grid_attack": "art_domainrand.attacks.domain",
    "worst_of": "art_domainrand.attacks.domain",
    "FGSM": "art_domainrand.attacks.fgsm",
    "MinimumNorm": "art_domainrand.attacks.minimum_norm",
    "PerturbationGenerator": "art_domainrand.attacks.perturbation_generator",
    "PGD": "art_domainrand.attacks.pgd",
    "Square": "art_domainrand.attacks.square",
    "StrongestAttack": "art_domainrand.attacks.strongest",
    "UnionAttack": "art_domainrand.attacks.union",
    "diagnose": "art_domainrand.evaluation.diagnose.diagnose",
    "DomainGenerator": "art_domainrand.generative.domain",
    "DifferentiableDefence": "art_domainrand.preprocessors.differentiable",
    "DomainMapping": "art_domainrand.preprocessors.domain_mapping",
    "DomainRandomization": "art_domainrand.preprocessors.domain_randomization",
    "domain_mapping": "art_domainrand.randomization.domains",
    "LearnableRanges": "art_domainrand.randomization.learned.ranges",
    "MultiModal": "art_domainrand.randomization.modalities.multimodal",
    "use_attack": "art_domainrand.training.attacks",
    "RandomizedDataGenerator": "art_domainrand.training.data.generator",
    "fit_randomized": "art_domainrand.training.fitting",
    "randomized": "art_domainrand.training.module",
    "paired": "art_domainrand.training.paired",
    "DomainAdversarialTrainer": "art_domainrand.training.trainer.trainer",
}
"""Name -> the module that defines it, as in the imports above."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        try:
            value = import_module(f"{__name__}.{name}")  # a room, such as art_domainrand.attacks
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

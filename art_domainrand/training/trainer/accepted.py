"""Which attacks a trainer takes."""

from __future__ import annotations

import warnings
from typing import Any

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.domain import DomainAttack
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.perturbation_generator import PerturbationGenerator
from art_domainrand.attacks.pgd import PGD
from art_domainrand.core.checks import Text, require

TRAINED_WITH = (FGSM, PGD, AutoPGD, DomainAttack, PerturbationGenerator)
"""The attacks that a trainer takes."""


def warn_of_stranger(attack: Any, classifier: Any) -> None:
    """Say so (RuntimeWarning) where a generator was fitted to another classifier than the one that is trained."""
    fitted_to = attack.fitted_to if isinstance(attack, PerturbationGenerator) else None
    if fitted_to is not None and fitted_to is not classifier:
        warnings.warn(
            "attack was fitted to another classifier, and what fools that one need not fool this one: "
            "training may leave it open to its own; fit a PerturbationGenerator to the classifier that is trained",
            RuntimeWarning,
            stacklevel=3,
        )


def check_training_attack(attack: Any, objective: str) -> None:
    """Refuse what a trainer cannot train against.

    :param attack: the attack.
    :param objective: the name of the objective; "fast" and "free" step in pixels themselves.
    :raises TypeError: for what is no attack of :data:`TRAINED_WITH`.
    :raises ValueError: for a targeted attack, and one on the domain where pixels are stepped in.
    """
    rule = "be an FGSM, PGD or AutoPGD of this library, a DomainAttack, or a fitted PerturbationGenerator"
    require(isinstance(attack, TRAINED_WITH), "attack", rule, Text(type(attack).__name__), TypeError)
    require(not attack.targeted, "attack", "be untargeted", Text("a targeted one"))
    fits = objective not in ("fast", "free") or not isinstance(attack, DomainAttack)
    require(fits, "attack", f"be one on pixels with objective={objective!r}", Text("a DomainAttack"))

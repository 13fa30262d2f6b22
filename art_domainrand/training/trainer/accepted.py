"""Which attacks a trainer takes."""

from __future__ import annotations

import warnings
from typing import Any

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.domain import DomainAttack
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.perturbation_generator import PerturbationGenerator, weights_of
from art_domainrand.attacks.pgd import PGD
from art_domainrand.core.checks import Text, require

TRAINED_WITH = (FGSM, PGD, AutoPGD, DomainAttack, PerturbationGenerator)
"""The attacks that a trainer takes."""


def warn_of_stranger(attack: Any, classifier: Any) -> None:
    """Say so (RuntimeWarning) where a generator was fitted to other weights than those that are about to be trained."""
    if isinstance(attack, PerturbationGenerator) and attack.fitted_to not in (None, weights_of(classifier)):
        warnings.warn(
            "attack was fitted to another classifier, or before this one was trained, and what fools that one need not "
            "fool this one: fit a PerturbationGenerator to the classifier as it is when its training begins",
            RuntimeWarning,
            stacklevel=5,  # at the call, beyond what checks names
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

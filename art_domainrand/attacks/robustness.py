"""Empirical robustness by any attack: how far, relative to the image, its adversarial examples are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from art.metrics.metrics import SUPPORTED_METHODS

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.minimum_norm import MinimumNorm
from art_domainrand.attacks.pgd import PGD
from art_domainrand.attacks.strongest import StrongestAttack
from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require

BY_NAME: dict[str, Callable[..., Any]] = {
    "minimum": MinimumNorm,
    "FGSM": FGSM,
    "PGD": PGD,
    "AutoPGD": AutoPGD,
    "StrongestAttack": StrongestAttack,
}
"""The attacks of this library that a name stands for; those of ART's ``SUPPORTED_METHODS`` stand for ART's own."""


def empirical_robustness(
    classifier: Any, x: Any, attack: Any = "minimum", attack_params: Mapping[str, Any] | None = None
) -> float:
    """ART's empirical robustness (Moosavi-Dezfooli et al. 2016, equation 2) by whatever attack.

    It is the mean, over the images whose prediction the attack changes, of the length of the change over that of the
    image; 0 if there is none. ART's own takes three attacks by name. Only an attack that looks for the closest example
    measures the model and not its own radius: "minimum" here, and ART's with ``minimal``, which is set for ART's names.

    :param classifier: Any classifier of ART.
    :param x: Images (N, ...), an array.
    :param attack: A name, of this library ("minimum", "FGSM", "PGD", "AutoPGD", "StrongestAttack") or of ART's table
        ("fgsm", "hsj", "auto"); or an attack made already, whose ``norm`` is that of the lengths (else L2).
    :param attack_params: Parameters of an attack by name, such as ``norm`` and ``max_iter``.
    :raises ValueError: for another name (with the nearest), and for parameters of an attack that is made already.
    """
    crafter = made(classifier, attack, dict(attack_params or {}))
    adv = np.asarray(crafter.generate(x))
    changed = classifier.predict(adv).argmax(1) != classifier.predict(x).argmax(1)
    if not changed.any():
        return 0.0
    norm = getattr(crafter, "norm", 2)
    order = np.inf if norm == "inf" else float(norm)
    before, after = (np.asarray(part)[changed].reshape(int(changed.sum()), -1) for part in (x, adv))
    return float(np.mean(np.linalg.norm(after - before, order, axis=1) / np.linalg.norm(before, order, axis=1)))


def made(classifier: Any, attack: Any, params: dict[str, Any]) -> Any:
    """The attack of that name, or the one given."""
    if not isinstance(attack, str):
        require(not params, "attack_params", "be None for an attack that is made already", Text(", ".join(params)))
        return attack
    known = [*BY_NAME, *SUPPORTED_METHODS]
    require(attack in known, "attack", f"be one of {known}", Text(f"{attack!r}{nearest(attack, known)}"))
    if attack in BY_NAME:
        return BY_NAME[attack](classifier, **params)
    entry = SUPPORTED_METHODS[attack]
    crafter = entry["class"](classifier)
    crafter.set_params(**entry.get("params", {}) | params)
    if "minimal" in type(crafter).attack_params:
        crafter.set_params(minimal=True)
    return crafter

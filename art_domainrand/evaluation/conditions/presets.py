"""Sets of conditions by name: how thorough an evaluation is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import (
    Attacked,
    Clean,
    Composite,
    Condition,
    Corrupted,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
)
from art_domainrand.evaluation.conditions.names import BALLS, norm_name
from art_domainrand.evaluation.conditions.values import check_named, checked_eps
from art_domainrand.randomization.corruptions import COMMON, CORRUPTIONS
from art_domainrand.randomization.domains import DOMAINS

COLOUR_EPS = {"linf": 8 / 255, "l2": 0.5, "l1": 12.0, "l0": 24}
"""The radii of RobustBench and AutoAttack for CIFAR-10; of L0, which they have not, eight pixels in all channels."""

GREY_EPS = {"linf": 0.1, "l2": 1.0, "l1": 5.0, "l0": 8}
"""Radii for handwritten digits, which one can still read at twice as much."""

CURVE = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 3 / 2, 2)
"""Where a curve is looked at, in units of eps."""

GRID = (1 / 4, 1 / 2, 1)
"""The radii inside domains, in units of eps."""

QUICK_CORRUPTIONS = ("gaussian_noise", "motion_blur", "fog", "jpeg_compression")
GRID_DOMAINS = ("night", "fog", "rain", "low_light_sensor")


L0_STEPS = {"quick": 100, "standard": 300}
"""How many steps the search for closest examples in L0 takes, by the budget of others."""


@dataclass(frozen=True)
class Threat:
    """What attacks may do.

    :param norm: the norm of curves.
    :param radius: the radius that counts.
    :param asked: the radii that were asked for, rising.
    :param radii: those of a curve.
    :param others: the other norms, each with a radius.
    :param colour: whether images are RGB.
    """

    norm: str
    radius: float
    asked: tuple[float, ...]
    radii: tuple[float, ...]
    others: tuple[tuple[str, float], ...]
    colour: bool = True

    def attacked(self, attack: str, radii: Sequence[float] = (), budget: str = "") -> list[Condition]:
        """An attack at some radii, or at the one that counts; in L0 the closest examples, whatever the attack."""
        options: dict[str, Any] = {"budget": budget} if budget else {}
        if self.norm == "l0":
            attack, options = "minimum", {} if budget == "full" else {"max_iter": L0_STEPS.get(budget, 100)}
        return [Attacked(attack, eps, self.norm, options) for eps in radii or (self.radius,)]

    def shares(self, shares: Sequence[float]) -> tuple[float, ...]:
        """Radii in units of the one that counts; in L0 whole numbers."""
        return shares_of(self.norm, self.radius, shares)

    def composed(self, pipeline: str) -> list[Condition]:
        """The worst of a pipeline with the worst pixels, where a ball is searched."""
        return [Composite(pipeline, self.radius, self.norm)] if self.norm in BALLS else []


def quick_look(threat: Threat) -> list[Condition]:
    """A first look: a minute or two for a small model and a few hundred images."""
    return [
        Clean(),
        *threat.attacked("pgd", threat.asked),
        *threat.attacked("strongest", threat.asked, "quick"),
        *(Corrupted(name, 3) for name in QUICK_CORRUPTIONS),
        InDomain("night", 3),
        *(Then(InDomain("night", 3), attack) for attack in threat.attacked("pgd")),
    ]


def standard_look(threat: Threat) -> list[Condition]:
    """What a report needs: curves, two norms, the common corruptions, domains, draws and the worst of them."""
    return [
        Clean(),
        *threat.attacked("strongest", threat.radii, "standard"),
        *(Attacked("strongest", eps, norm, {"budget": "standard"}) for norm, eps in threat.others[:1]),
        *(Corrupted(name, severity) for name in COMMON for severity in (1, 3, 5)),
        *(InDomain(name, 3) for name in DOMAINS),
        Randomized("mild", draws=5),
        Randomized("sim2real", draws=5),
        DomainAttacked("mild", evaluations=100),
        *grid(threat, GRID_DOMAINS, threat.shares(GRID)),
    ]


def full_look(threat: Threat) -> list[Condition]:
    """Everything: norms at the largest budget, closest examples, a black box, all corruptions, domains, CARBEN."""
    return [
        Clean(),
        *threat.attacked("strongest", threat.radii, "full"),
        *(Attacked("strongest", eps, norm, {"budget": "full"}) for norm, eps in threat.others),
        *threat.attacked("minimum", threat.radii),
        *threat.attacked("square"),
        *(Corrupted(name, severity) for name in CORRUPTIONS for severity in range(1, 6)),
        *(InDomain(name, severity) for name in DOMAINS for severity in (1, 3, 5)),
        *(Randomized(name, draws=10) for name in ("mild", "strong", "sim2real")),
        *(DomainAttacked(name, evaluations=200) for name in ("mild", "geometric", "photometric")),
        *threat.composed("mild"),
        *([DomainAttacked("carben", evaluations=200), *threat.composed("carben")] * threat.colour),
        *grid(threat, tuple(DOMAINS), threat.shares(GRID)),
    ]


def grid(threat: Threat, domains: Sequence[str], radii: Sequence[float]) -> list[Condition]:
    """PGD at every radius inside every domain."""
    return [Then(InDomain(name, 3), attack) for name in domains for attack in threat.attacked("pgd", radii)]


CONDITION_PRESETS: dict[str, Callable[[Threat], list[Condition]]] = {
    "quick": quick_look,
    "standard": standard_look,
    "full": full_look,
}
"""Name -> what makes its conditions."""


def preset_conditions(
    name: str,
    *,
    norm: str = "linf",
    eps: float | Sequence[float] | None = None,
    channels: int = 3,
    width: float = 1.0,
) -> tuple[Condition, ...]:
    """The conditions of a preset.

    :param name: "quick", "standard" or "full".
    :param norm: "linf", "l2", "l1" or "l0": the norm of curves and of attacks inside domains. "standard" attacks in one
        other norm too, "full" in all others but L0. In L0 every attack is "minimum", and none composes with a domain.
    :param eps: the radius in units of pixels, or several, which are the curve, of which the largest counts. None: for
        images in colour 8/255 in L-inf, 0.5 in L2 and 12 in L1, for grey ones 0.1, 1 and 5, each times ``width``; in
        L0 24 elements in colour and 8 in grey.
    :param channels: of the images; one channel is grey.
    :param width: the range of pixels, ``clip_values[1] - clip_values[0]``.
    :raises ValueError: for an unknown name (with the nearest), another norm, and radii that are not > 0.
    """
    check_named("preset", name, list(CONDITION_PRESETS))
    norm = norm_name(norm)
    require(0 < width < math.inf, "width", "be a finite number > 0", width)
    usual = usual_radii(channels, width)
    others = tuple((key, usual[key]) for key in BALLS if key != norm)
    threat = threat_of(norm, usual[norm] if eps is None else eps, others)
    found = CONDITION_PRESETS[name](replace(threat, colour=channels == 3))
    return tuple(one for place, one in enumerate(found) if one not in found[:place])


def usual_radii(channels: int, width: float) -> dict[str, float]:
    """The radius of each norm by name: in units of pixels, but a count in L0.

    :param channels: of the images; one channel is grey.
    :param width: the range of pixels.
    """
    radii = GREY_EPS if channels == 1 else COLOUR_EPS
    return {norm: radius if norm == "l0" else radius * width for norm, radius in radii.items()}


def shares_of(norm: str, radius: float, shares: Sequence[float]) -> tuple[float, ...]:
    """Shares of a radius, each once; in L0 the next whole numbers, at least one."""
    found = [max(1, round(radius * share)) if norm == "l0" else radius * share for share in shares]
    return tuple(dict.fromkeys(found))


def threat_of(norm: str, eps: float | Sequence[float], others: tuple[tuple[str, float], ...]) -> Threat:
    """The threat of one radius, with the usual curve around it, or of several, which are the curve."""
    if isinstance(eps, Sequence):
        require(len(eps) > 0, "eps", "hold a radius", Text("none"))
        radii = tuple(sorted({checked_eps(one) for one in eps}))
    else:
        radii = (checked_eps(eps),)
    require(radii[0] > 0, "eps", "be > 0", radii[0])
    curve = radii if isinstance(eps, Sequence) else shares_of(norm, radii[0], CURVE)
    return Threat(norm, radii[-1], radii, curve, others)

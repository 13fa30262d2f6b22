"""The names that conditions may hold, without what stands behind them: a wrong one is refused where it is written."""

from __future__ import annotations

from typing import Any

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.names import BALLS, NORMS
from art_domainrand.evaluation.conditions.values import check_named

SEARCHED_NORMS: dict[str, tuple[str, ...]] = {
    "fgsm": BALLS,
    "pgd": BALLS,
    "autopgd": BALLS,
    "strongest": BALLS,
    "minimum": tuple(NORMS),
    "square": BALLS,
    "art:FastGradientMethod": BALLS,
    "art:BasicIterativeMethod": ("linf",),
    "art:MomentumIterativeMethod": BALLS,
    "art:ProjectedGradientDescent": BALLS,
    "art:AutoProjectedGradientDescent": BALLS,
    "art:AutoAttack": BALLS,
    "art:SquareAttack": ("linf", "l2"),
    "art:DeepFool": ("linf", "l2"),
    "art:CarliniL2Method": ("l2",),
    "art:CarliniLInfMethod": ("linf",),
    "art:ElasticNet": ("l1", "l2"),
    "art:NewtonFool": ("l2",),
    "art:HopSkipJump": ("linf", "l2"),
    "art:BoundaryAttack": ("l2",),
}
"""Attack -> the norms that it searches; what a name stands for is in the table of attacks."""

PIPELINES = (
    "mild",
    "strong",
    "geometric",
    "photometric",
    "sensor",
    "weather",
    "sim2real",
    "indoor_robotics",
    "driving",
    "ua_gabor",
    "ua_snow",
    "ua_pixel",
    "ua_jpeg",
    "ua_kaleidoscope",
    "ua_glitch",
    "ua_wood",
    "ua_elastic",
    "stadv",
    "recolor",
    "carben",
    "augmix",
    "prime",
    "trivial_augment",
    "rand_augment",
    "idbh_weak",
    "idbh_strong",
    "imagenet_c",
)
"""The names of :data:`art_domainrand.randomization.PRESETS`."""


class RecordedName(str):
    """A name in the record of a run, which may have been the user's own: it is checked only if it is to run."""

    __slots__ = ()


def check_searched(attack: Any, norm: str) -> None:
    """Refuse the name of an attack that there is not, and a norm that the attack does not search.

    :param attack: a name, or what makes an attack, which may search any norm.
    :param norm: as conditions name it.
    :raises ValueError: with the nearest name.
    :raises TypeError: for what is neither a name nor callable.
    """
    named = isinstance(attack, str)
    rule = "be the name of an attack or make one, as the method against of a PerturbationGenerator does"
    require(named or callable(attack), "attack", rule, Text(type(attack).__name__), TypeError)
    if not named or isinstance(attack, RecordedName):
        return
    check_named("attack", attack, list(SEARCHED_NORMS))
    norms = list(SEARCHED_NORMS[attack])
    require(norm in norms, "norm", f"be one of {norms} for the attack {attack!r}", norm)

"""The attacks that a condition can name, and how each is made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from art.attacks import evasion

from art_domainrand.attacks.apgd import AutoPGD
from art_domainrand.attacks.fgsm import FGSM
from art_domainrand.attacks.minimum_norm import MinimumNorm
from art_domainrand.attacks.pgd import PGD
from art_domainrand.attacks.square import Square
from art_domainrand.attacks.strongest import StrongestAttack
from art_domainrand.core.arguments import argument_names, nearest
from art_domainrand.core.checks import Text, clip_bounds, require
from art_domainrand.evaluation.conditions.catalogue import SEARCHED_NORMS, check_searched
from art_domainrand.evaluation.conditions.kinds import Attacked
from art_domainrand.evaluation.conditions.names import BALLS, NORMS, attack_name

# What the condition or the evaluation decides, and what makes another attack of an attack, is no option.
NOT_OPTIONS = (
    *("estimator", "classifier", "estimator_orig", "norm", "eps", "seed", "batch_size", "verbose", "summary_writer"),
    *("targeted", "minimal", "attacks"),
)


@dataclass(frozen=True)
class AttackEntry:
    """An attack of the table.

    :param make: its class.
    :param norms: the norms whose balls it can search.
    :param defaults: options in place of those of the class.
    :param step: its step size, in units of eps, from its number of steps; None where it takes none.
    :param nearest: whether it looks for the nearest example, so that eps only says which of them count.
    :param approached: whether on a curve its examples may be brought nearer by steps that are not its own; not for
        attacks whose weakness is of interest.
    :param each: whether it takes a radius for each sample.
    """

    make: Callable[..., Any]
    norms: tuple[str, ...] = BALLS
    defaults: Mapping[str, Any] = field(default_factory=dict)
    step: Callable[[int], float] | None = None
    nearest: bool = False
    approached: bool = False
    each: bool = False

    @property
    def options(self) -> list[str]:
        """The names of what a condition's options may say."""
        return [name for name in argument_names(self.make) if name not in NOT_OPTIONS]


def madry_step(steps: int) -> float:
    """Steps that together reach 2.5 times as far as eps (Madry et al. 2018)."""
    return 2.5 / max(steps, 1)


def whole_step(steps: int) -> float:
    """One step to the edge of the ball."""
    return 1.0


def double_step(steps: int) -> float:
    """The first step of Auto-PGD (Croce and Hein 2020)."""
    return 2.0


PGD_OPTIONS = {"max_iter": 40, "num_random_init": 1, "early_stop": True}
AUTOPGD_OPTIONS = {"nb_random_init": 1, "early_stop": True}
_ENTRIES: dict[str, AttackEntry] = {
    "fgsm": AttackEntry(FGSM, step=whole_step, each=True),
    "pgd": AttackEntry(PGD, defaults=PGD_OPTIONS, step=madry_step, approached=True, each=True),
    "autopgd": AttackEntry(AutoPGD, defaults=AUTOPGD_OPTIONS, step=double_step, approached=True, each=True),
    "strongest": AttackEntry(StrongestAttack, approached=True, each=True),
    "minimum": AttackEntry(MinimumNorm, nearest=True),
    "square": AttackEntry(Square, defaults={"max_iter": 1000}, each=True),
    "art:FastGradientMethod": AttackEntry(evasion.FastGradientMethod, step=whole_step),
    "art:BasicIterativeMethod": AttackEntry(evasion.BasicIterativeMethod, defaults={"max_iter": 40}, step=madry_step),
    "art:MomentumIterativeMethod": AttackEntry(
        evasion.MomentumIterativeMethod, defaults={"max_iter": 40}, step=madry_step
    ),
    "art:ProjectedGradientDescent": AttackEntry(
        evasion.ProjectedGradientDescent, defaults={"max_iter": 40, "num_random_init": 1}, step=madry_step
    ),
    "art:AutoProjectedGradientDescent": AttackEntry(
        evasion.AutoProjectedGradientDescent, defaults={"nb_random_init": 1}, step=double_step
    ),
    "art:AutoAttack": AttackEntry(evasion.AutoAttack, step=double_step),
    "art:SquareAttack": AttackEntry(evasion.SquareAttack, defaults={"max_iter": 1000}),
    "art:DeepFool": AttackEntry(evasion.DeepFool, nearest=True),
    "art:CarliniL2Method": AttackEntry(evasion.CarliniL2Method, nearest=True),
    "art:CarliniLInfMethod": AttackEntry(evasion.CarliniLInfMethod, nearest=True),
    "art:ElasticNet": AttackEntry(evasion.ElasticNet, nearest=True),
    "art:NewtonFool": AttackEntry(evasion.NewtonFool, nearest=True),
    "art:HopSkipJump": AttackEntry(evasion.HopSkipJump, nearest=True),
    "art:BoundaryAttack": AttackEntry(evasion.BoundaryAttack, nearest=True),
}
ATTACKS: dict[str, AttackEntry] = {name: replace(_ENTRIES[name], norms=norms) for name, norms in SEARCHED_NORMS.items()}
"""Name -> attack: this library's, and ART's own by "art:" and the name of the class."""


def attack_entry(condition: Attacked) -> AttackEntry:
    """The entry of a condition's attack; one for a callable too.

    :param condition: the condition.
    :raises ValueError: for an unknown name, a norm that the attack does not search, and unknown options.
    """
    if not isinstance(condition.attack, str):
        return AttackEntry(condition.attack)
    check_searched(str(condition.attack), condition.norm)
    entry = ATTACKS[condition.attack]
    for name in condition.options:
        known = entry.options
        rule = f"be among {known} for the attack {condition.attack!r}"
        require(name in known, "options", rule, Text(f"{name!r}{nearest(name, known)}"))
    return entry


def make_attack(condition: Attacked, estimator: Any, eps: Any, *, seed: int, batch_size: int) -> Any:
    """An attack of ART's interface on an estimator.

    :param condition: names the attack, the norm and the options.
    :param estimator: what is attacked.
    :param eps: the radius, > 0, in units of the estimator's pixels; an array that broadcasts to the images for attacks
        that take one of each sample.
    :param seed: where its random numbers come from, if it takes a seed.
    :param batch_size: images at a time.
    :raises ValueError: as :func:`attack_entry` does.
    """
    entry = attack_entry(condition)
    order = NORMS[condition.norm]
    if not isinstance(condition.attack, str):
        return condition.attack(estimator, norm=order, eps=eps, **condition.options)
    options = {**entry.defaults, **condition.options}
    offered = {"batch_size": batch_size, "verbose": False, "seed": seed, "norm": order, "eps": eps, "targeted": False}
    if entry.step is not None:
        step = options.get("eps_step", eps * entry.step(int(options.get("max_iter", 1))))
        options["eps_step"] = step if np.ndim(eps) == np.ndim(step) else np.full(np.shape(eps), float(step))
    known = argument_names(entry.make)
    return entry.make(estimator, **{k: v for k, v in offered.items() if k in known}, **options)


def examples(attack: Any, x: Any, y: Any, name: str) -> Any:
    """The images that an attack makes of ``x`` for the class indices ``y``, as float32 and in number and form as ``x``.

    :param attack: an attack of ART's interface.
    :param x: images (n, ...).
    :param y: class indices (n,).
    :param name: what it is called in an error.
    :raises ValueError: if it returns images of another shape or NaN.
    """
    found = np.asarray(attack.generate(x.copy(), y.copy()), dtype=np.float32)
    rule = f"return images of shape {x.shape}"
    require(found.shape == x.shape, f"attack {name}", rule, Text(f"{found.shape}"))
    undefined = int((~np.isfinite(found.reshape(len(found), -1))).any(1).sum())
    require(not undefined, f"attack {name}", "return finite pixels", Text(f"NaN or infinity in {undefined} images"))
    return found


def clipped_images(images: Any, estimator: Any) -> Any:
    """Images with every pixel in the range of an estimator, which an attack of the user's may leave.

    :param images: (n, ...), in the estimator's layout.
    :param estimator: says by ``clip_values`` what the range is; without it the images are left as they are.
    """
    values = getattr(estimator, "clip_values", None)
    if values is None:
        return images
    low, high = clip_bounds(values, tuple(images.shape[1:]), torch.device("cpu"))
    return np.clip(images, np.asarray(low, np.float32), np.asarray(high, np.float32))


def warn_of_radius(condition: Attacked, clip_values: Any) -> None:
    """Warn of a ball that holds every image: eps as wide as the range of pixels, as in 8 for 8/255.

    This library's own attacks do so themselves.

    :param condition: the condition.
    :param clip_values: the range, or None.
    """
    ours = isinstance(condition.attack, str) and not condition.attack.startswith("art:")
    if ours or clip_values is None or condition.norm != "linf":
        return
    width = float(np.max(np.subtract(clip_values[1], clip_values[0])))
    if condition.eps >= width:
        warnings.warn(
            f"eps {condition.eps:g} of {attack_name(condition.attack)} is the whole range of pixels ({width:g}): every "
            "image lies in the ball. eps is in the units of clip_values, as in ART",
            RuntimeWarning,
            stacklevel=2,
        )

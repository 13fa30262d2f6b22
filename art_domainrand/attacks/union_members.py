"""The attacks that a union is made of: what they cost, what they take, and how each is run on some of the samples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

import numpy as np
import torch
from art.attacks import evasion
from torch import Tensor

from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.core.checks import Text, require
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.norms import rows_of
from art_domainrand.core.random import ATTACK, GLOBAL, seed_of

BUDGET_PASSES = {"quick": 150.0, "standard": 500.0, "full": 2500.0}
"""Forward and backward passes of an attack with a ``budget``, roughly, for a sample that stands to the end."""

REPEATS = ("num_random_init", "nb_random_init", "nb_restarts", "binary_search_steps", "nb_grads", "eot_samples")
"""Parameters that say how often the steps of an attack are taken."""

ART_MASKED = (
    evasion.FastGradientMethod,
    evasion.ProjectedGradientDescent,
    evasion.AutoProjectedGradientDescent,
    evasion.AutoConjugateGradient,
    evasion.RescalingAutoConjugateGradient,
    evasion.HopSkipJump,
)
"""Attacks of ART that read ``mask`` out of their keywords."""


def estimated_passes(attack: Any) -> float:
    """About how many forward and backward passes an attack takes for a sample that stands to the end.

    Twice the steps (``max_iter``; one where there are none), times whatever repeats them, and the ``evaluations`` of a
    search over draws; :data:`BUDGET_PASSES` where there is a ``budget``; the sum where an attack is made of attacks.
    It orders attacks, no more: what they do take is counted.

    :param attack: an attack of ART's interface.
    """
    inside = getattr(attack, "attacks", None)
    if isinstance(inside, (list, tuple)) and inside:
        return sum(estimated_passes(one) for one in inside)
    budget = getattr(attack, "budget", None)
    if budget in BUDGET_PASSES:
        return BUDGET_PASSES[budget]
    evaluations = _number(attack, "evaluations", 0.0)
    steps = _number(attack, "max_iter", 0.0 if evaluations else 1.0)
    return evaluations + 2 * steps * prod(max(1.0, _number(attack, name, 1.0)) for name in REPEATS)


def _number(attack: Any, name: str, otherwise: float) -> float:
    value = getattr(attack, name, otherwise)
    return float(value) if isinstance(value, (int, float, np.number)) else otherwise


def check_members(attacks: Any, estimator: Any) -> None:
    """Refuse what is no list of attacks on one estimator.

    :param attacks: the attacks.
    :param estimator: the estimator that all of them must attack.
    :raises ValueError, TypeError: naming the attack, the rule and what there is instead.
    """
    several = isinstance(attacks, (list, tuple))
    require(several, "attacks", "be a list of attacks", Text(type(attacks).__name__), TypeError)
    require(len(attacks) > 0, "attacks", "hold at least one attack", Text("none"))
    for place, attack in enumerate(attacks):
        rule = "be an attack, with generate and an estimator"
        usable = callable(getattr(attack, "generate", None)) and hasattr(attack, "estimator")
        made = not isinstance(attack, type)
        require(usable and made, f"attacks[{place}]", rule, Text(_name_of(attack)), TypeError)
        same = attack.estimator is estimator
        rule = "attack the estimator of the union, the very same object"
        require(same, f"attacks[{place}]", rule, Text(f"another {type(attack.estimator).__name__}"))


def check_same_target(attacks: Sequence[Any], targeted: bool) -> None:
    """Refuse attacks of which one leaves labels and another reaches them."""
    for place, attack in enumerate(attacks):
        own = getattr(attack, "targeted", targeted)
        require(own == targeted, f"attacks[{place}].targeted", f"be {targeted}, as the union's is", own)


def check_can_target(attacks: Sequence[Any], targeted: bool) -> None:
    """Refuse attacks that cannot reach a label where that is asked of them."""
    for place, attack in enumerate(attacks):
        able = not targeted or "targeted" in attack.attack_params
        require(able, f"attacks[{place}]", "be able to reach a label", Text(_name_of(attack)))


def check_masks(attacks: Sequence[Any], mask: Any) -> None:
    """Refuse a mask where an attack takes none: it would change what the mask is to keep."""
    for place, attack in enumerate(attacks):
        able = mask is None or takes_mask(attack)
        require(able, "mask", f"be None with attacks[{place}], which takes none", Text(_name_of(attack)))


def takes_mask(attack: Any) -> bool:
    """Whether ``generate`` of an attack heeds a mask."""
    inside = getattr(attack, "attacks", None)
    if isinstance(inside, (list, tuple)):
        return "mask" in inspect.signature(attack.generate).parameters and all(map(takes_mask, inside))
    return isinstance(attack, ART_MASKED) or "mask" in inspect.signature(attack.generate).parameters


def member_names(attacks: Sequence[Any]) -> tuple[str, ...]:
    """What the attacks are called: class, norm and radius, or budget; numbered where that is not enough."""
    said = [_name_of(attack) for attack in attacks]
    return tuple(name if said.count(name) == 1 else f"{name} #{place}" for place, name in enumerate(said))


def _name_of(attack: Any) -> str:
    name = attack.__name__ if isinstance(attack, type) else type(attack).__name__
    norm, eps = getattr(attack, "norm", None), getattr(attack, "eps", None)
    if norm is None or not isinstance(eps, (int, float, np.number)):
        return name
    return f"{name} {'inf' if norm in ('inf', np.inf) else norm} {eps:g}"


def run_member(attack: Any, place: int, inputs: Inputs, left: Tensor, mask: Tensor | None) -> Tensor:
    """The images that an attack makes of the samples ``left`` (A,), inside the clip range, on the host or the device.

    :param attack: the attack.
    :param place: where it stands in the union, from which its random numbers follow where the union has a seed.
    :param inputs: of the union's call.
    :param left: the samples.
    :param mask: as the caller gave it, or None.
    :raises ValueError: if it returns images of another shape.
    """
    config = inputs.config
    x, y = inputs.images(left), inputs.labels[left]
    options: dict[str, Any] = {"targeted": config.targeted}
    seed = None if config.seed is None else seed_of(config.seed, ATTACK, place)
    if seed is not None:
        options["seed"] = seed
    part = None if mask is None else rows_of(mask, inputs.x, left.to(mask.device))
    with ExitStack() as stack:
        stack.enter_context(seeded_global_rng(None if seed is None else seed_of(seed, GLOBAL)))
        stack.enter_context(adjusted(attack, options, lambda values: _rows_of_array(values, inputs.x, left)))
        found = _images_of(attack, x, y, part)
    rule = f"return images of shape {tuple(x.shape)}"
    require(found.shape == x.shape, f"attacks[{place}]", rule, Text(f"{tuple(found.shape)}"))
    # What is no image counts as nothing done.
    real = found.isfinite().flatten(1).all(1).reshape(-1, *[1] * (x.dim() - 1))
    found = torch.where(real, found, x)
    if inputs.outside is None and inputs.low is not None and inputs.high is not None:
        found = torch.maximum(torch.minimum(found, inputs.high), inputs.low)
    return found


def _images_of(attack: Any, x: Tensor, y: Tensor, mask: Any) -> Tensor:
    if hasattr(attack, "perturb"):
        found: Tensor = attack.perturb(x, y, mask) if takes_mask(attack) else attack.perturb(x, y)
        return found.detach()
    keywords = {} if mask is None else {"mask": mask.cpu().numpy()}
    array = attack.generate(x.cpu().numpy().copy(), y.cpu().numpy(), **keywords)
    return torch.as_tensor(np.asarray(array, dtype=np.float32)).to(x.device)


def _rows_of_array(values: Any, x: Tensor, left: Tensor) -> Any:
    """Of an array with a value for each image of ``x``, those of some; anything else as it is."""
    if not isinstance(values, np.ndarray) or values.ndim < x.dim() or len(values) != len(x):
        return values
    return values[left.cpu().numpy()]


@contextmanager
def adjusted(attack: Any, options: dict[str, Any], part: Callable[[Any], Any]) -> Iterator[None]:
    """Inside, an attack has other options, of those that it takes, and radii for some of the samples alone.

    :param attack: the attack, left as found.
    :param options: values by name.
    :param part: from a radius or step to that of the samples that are left.
    """
    changed = {name: value for name, value in options.items() if name in attack.attack_params}
    for name in ("eps", "eps_step"):
        if name in attack.attack_params:
            changed[name] = part(getattr(attack, name))
    before = {name: getattr(attack, name) for name in changed}
    changed = {
        name: value for name, value in changed.items() if value is not before[name] and not _equal(value, before[name])
    }
    with ExitStack() as stack:
        inside = getattr(attack, "attacks", None)
        for one in inside if isinstance(inside, (list, tuple)) else ():
            stack.enter_context(adjusted(one, {}, part))
        if changed:
            attack.set_params(**changed)
            stack.callback(lambda: attack.set_params(**{name: before[name] for name in changed}))
        yield


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and not isinstance(one, np.ndarray) and bool(one == other)

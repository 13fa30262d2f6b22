"""From the options of a command line to conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from art_domainrand.cli.run_config import RunConfig, norms_and_radii
from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import (
    Attacked,
    Clean,
    Composite,
    Condition,
    Corrupted,
    DomainAttacked,
    InDomain,
)
from art_domainrand.evaluation.conditions.known import check_condition, from_document
from art_domainrand.evaluation.conditions.presets import preset_conditions, usual_radii
from art_domainrand.evaluation.conditions.values import check_named
from art_domainrand.evaluation.running.attacks import ATTACKS, attack_entry
from art_domainrand.randomization import CORRUPTIONS, DOMAINS
from art_domainrand.randomization.corruptions import COMMON
from art_domainrand.randomization.domains import UNFORESEEN_DOMAINS

DEFAULT_ATTACK = {"linf": "strongest", "l2": "strongest", "l1": "strongest", "l0": "minimum"}
"""The attack of each norm where only a norm or radii are named."""

WORST = "worst:"
"""What stands before the name of a pipeline whose worst draw is looked for."""

CARBEN = "carben"
"""The attack on that pipeline and the pixels together."""

DEFAULT_SEVERITY = 3


def asked_conditions(config: RunConfig, channels: int, width: float = 1.0) -> dict[str, Condition]:
    """The conditions of a run, by name; the clean images are always among them.

    A preset stands first. Where no attack is named, norms and radii are those of the preset's attacks.

    :param config: the run, effective.
    :param channels: of the images, from which the usual radius follows where none is named.
    :param width: the range of pixels.
    :raises ValueError: for names of attacks, corruptions, domains and presets that there are not, and for radii and
        documents that are none.
    """
    norms, radii = norms_and_radii(config)
    norms = norms or ["linf"]
    for_preset = config.preset is not None and not config.attack
    found: list[Condition] = [Clean()]
    if config.preset is not None:
        for norm in norms if for_preset else norms[:1]:
            eps = (radii or None) if for_preset else None
            found += preset_conditions(config.preset, norm=norm, eps=eps, channels=channels, width=width)
    by_default = [DEFAULT_ATTACK[norm] for norm in norms] if not for_preset and (config.norm or config.eps) else []
    usual = usual_radii(channels, width)
    for attack in config.attack or dict.fromkeys(by_default):
        if attack.startswith(WORST):  # no ball: the ranges of the pipeline are the budget
            found.append(DomainAttacked(attack.removeprefix(WORST)))
            continue
        check_named("attack", attack, [*ATTACKS, CARBEN, f"{WORST}PRESET"])
        searched = norms if config.attack else [norm for norm in norms if DEFAULT_ATTACK[norm] == attack]
        balls = [(norm, eps) for norm in searched for eps in radii or [usual[norm]]]
        found += [
            Composite(CARBEN, eps, norm) if attack == CARBEN else Attacked(attack, eps, norm) for norm, eps in balls
        ]
    unforeseen = [name for name in UNFORESEEN_DOMAINS if name.startswith("ua_")]
    found += named_with_severity(config.domain, InDomain, {"all": list(DOMAINS), "imagenet_ua": unforeseen})
    groups = {"all": list(CORRUPTIONS), "common": list(COMMON)}
    found += named_with_severity(config.corruptions, Corrupted, groups)
    found += [from_document(one, f"conditions[{place}]") for place, one in enumerate(config.conditions)]
    for condition in found:
        check_condition(condition)
        if isinstance(condition, Attacked):
            attack_entry(condition)
    return distinctly_named(found)


def distinctly_named(conditions: Sequence[Condition]) -> dict[str, Condition]:
    """Conditions by name, the same one once; others of one name, such as an attack of more steps, say what differs."""
    named: dict[str, Condition] = {}
    for condition in conditions:
        if condition in named.values():
            continue
        options = getattr(condition, "options", {})
        said = f" ({', '.join(f'{key} {value}' for key, value in options.items())})" if options else ""
        names = [condition.name, *([condition.name + said] if said else [])]
        names += [f"{names[-1]} #{number}" for number in range(2, len(named) + 3)]
        named[next(name for name in names if name not in named)] = condition
    return named


def named_with_severity(
    entries: Sequence[str], make: Callable[[str, int], Condition], groups: Mapping[str, Sequence[str]]
) -> list[Condition]:
    """Conditions of entries such as "fog" and "fog:5", and of groups such as "all" and "all:5"."""
    found = []
    for entry in entries:
        name, colon, severity = entry.partition(":")
        number = not colon or severity in ("1", "2", "3", "4", "5")
        require(number, name, "have a severity from 1 to 5 after its colon", Text(f"{entry!r}"))
        found += [make(one, int(severity) if colon else DEFAULT_SEVERITY) for one in groups.get(name, [name])]
    return found

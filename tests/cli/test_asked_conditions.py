"""What a run names, as conditions: none is lost because another has its name."""

import pytest

from art_domainrand.cli.asked_conditions import asked_conditions
from art_domainrand.cli.run_config import RunConfig
from art_domainrand.evaluation.conditions import Attacked, Clean, Composite, DomainAttacked, InDomain, Union
from art_domainrand.randomization.domains import domain_pipeline


def pgd(**options):
    return {"type": "attacked", "attack": "pgd", "eps": 0.1, "options": options}


def test_conditions_of_one_name_are_all_kept():
    documents = pgd(max_iter=1), pgd(max_iter=100), pgd(), {"type": "clean"}, pgd(max_iter=1)
    found = asked_conditions(RunConfig(conditions=documents), 1)
    assert found == {
        "clean": Clean(),
        "pgd linf 0.1": Attacked("pgd", 0.1, options={"max_iter": 1}),
        "pgd linf 0.1 (max_iter 100)": Attacked("pgd", 0.1, options={"max_iter": 100}),
        "pgd linf 0.1 #2": Attacked("pgd", 0.1),
    }


def test_an_attack_beside_a_preset_replaces_none_of_its_attacks():
    """The preset's strongest attack has a smaller budget, under the same name."""
    preset = asked_conditions(RunConfig(preset="quick"), 1)
    both = asked_conditions(RunConfig(preset="quick", attack=("strongest",), eps=("0.1",)), 1)
    assert both.items() >= preset.items()
    assert list(both.values())[-1] == Attacked("strongest", 0.1)


def test_unforeseen_adversaries_are_domains_by_name_and_as_a_group():
    one = asked_conditions(RunConfig(domain=("ua_wood:5", "recolor")), 3)
    assert list(one.values())[1:] == [InDomain("ua_wood", 5), InDomain("recolor", 3)]
    worst = asked_conditions(RunConfig(attack=("worst:ua_glitch",)), 3)
    assert list(worst.values())[1:] == [DomainAttacked("ua_glitch")]
    _, *group = asked_conditions(RunConfig(domain=("imagenet_ua",)), 1).values()
    assert len(group) == 8
    assert all(domain_pipeline(name).takes(1) for name in (condition.domain for condition in group))


def test_carben_and_the_worst_draw_of_a_preset_are_attacks_by_name():
    found = asked_conditions(RunConfig(attack=("carben", "worst:ua_wood", "pgd"), eps=("4/255", "8/255")), 3)
    assert list(found.values()) == [
        Clean(),
        Composite("carben", 4 / 255),
        Composite("carben", 8 / 255),
        DomainAttacked("ua_wood"),
        Attacked("pgd", 4 / 255),
        Attacked("pgd", 8 / 255),
    ]
    with pytest.raises(ValueError, match=r"pipeline must be one of .*did you mean 'ua_wood'"):
        asked_conditions(RunConfig(attack=("worst:ua_wod",)), 3)
    with pytest.raises(ValueError, match=r"attack must be one of .*'worst:PRESET'.*did you mean 'carben'"):
        asked_conditions(RunConfig(attack=("carbn",)), 3)


def test_every_norm_takes_every_radius_and_one_that_l0_cannot_take_says_what_to_do():
    _, *found = asked_conditions(RunConfig(norm=("l0", "l2"), eps=("1", "2")), 1).values()
    assert [(one.attack, one.norm, one.eps) for one in found] == [
        ("minimum", "l0", 1),
        ("minimum", "l0", 2),
        ("strongest", "l2", 1),
        ("strongest", "l2", 2),
    ]
    with pytest.raises(ValueError, match=r"^eps must be whole numbers with norm l0, .*got 0\.5; .* run l0 by itself"):
        asked_conditions(RunConfig(norm=("l2", "l0"), eps=("0.5", "2")), 1)


def test_a_union_comes_from_a_document():
    parts = [pgd(), {"type": "in_domain", "domain": "night"}]
    found = asked_conditions(RunConfig(conditions=({"type": "union", "conditions": parts},)), 1)
    assert list(found.values())[1] == Union((Attacked("pgd", 0.1), InDomain("night")))

"""What conditions are called on the page, and what is said beside their names."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, Custom, InDomain, Then
from art_domainrand.evaluation.conditions.documents import to_document
from art_domainrand.evaluation.report.sections.curves import curve_figures
from art_domainrand.evaluation.report.sections.done import words_beyond_the_name
from art_domainrand.evaluation.report.sections.grids import attack_grids
from art_domainrand.evaluation.report.sections.provenance import condition_facts
from art_domainrand.evaluation.report.text import MISSING
from art_domainrand.evaluation.report.wording import in_words, shown_names
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.changes import corrupt_all, map_all
from art_domainrand.evaluation.running.performance import Performance
from art_domainrand.randomization import DOMAINS

from support.evaluation import made_up
from support.pages import read_report

NIGHT, FOG = InDomain("night", 3), Corrupted("fog", 3)
PGD = [Attacked("pgd", eps) for eps in (0.1, 0.2)]
TWICE = Then(FOG, NIGHT)


def test_the_page_says_then(tmp_path):
    conditions = [Clean(), *PGD, NIGHT, *(Then(NIGHT, one) for one in PGD), Then(TWICE, PGD[0])]
    evaluation = made_up(conditions=conditions, n=20)
    page, _, markdown = read_report(evaluation, tmp_path)
    for text in (page.text, markdown):
        assert "domain night 3, then pgd linf 0.1" in text
        assert "fog 3, then domain night 3, then pgd linf 0.1" in text
        assert not any(row.cell in text for row in evaluation.rows() if " > " in row.cell)
        assert " linf > " not in text
        assert "3 > " not in text
    assert "domain night 3 > pgd linf 0.1" in evaluation.conditions


def test_nothing_but_names_changes():
    evaluation = made_up(conditions=[Clean(), Then(NIGHT, PGD[0])], n=20)
    shown = in_words(evaluation)
    assert [row.accuracy for row in shown.rows()] == [row.accuracy for row in evaluation.rows()]
    assert {one.condition for one in shown.samples} == {"domain night 3, then pgd linf 0.1"}
    assert tuple(shown.conditions) == shown.outcomes.conditions == ("clean", "domain night 3, then pgd linf 0.1")


def test_names_of_users_stay_and_no_two_are_the_same():
    both = Then(NIGHT, PGD[0])
    names = {"a > b": FOG, "x > y": both, both.name: both, "domain night 3, then pgd linf 0.1": Custom(max)}
    assert shown_names(names) == {name: name for name in names}
    assert shown_names({"a > b": FOG, both.name: both}) == {
        "a > b": "a > b",
        both.name: f"{NIGHT.name}, then pgd linf 0.1",
    }


def test_curves_and_grids_are_called_so_too():
    conditions = [Clean(), TWICE, *(Then(TWICE, one) for one in PGD)]
    for models in (("one",), ("one", "two")):
        evaluation = made_up(models, conditions, n=20)
        assert [one.title for one in curve_figures(evaluation)] == ["fog 3, then domain night 3, then pgd linf"]
    grid = attack_grids(evaluation)[0]
    assert grid.columns == ("as they are", "fog 3", "fog 3, then domain night 3")


def test_every_condition_stands_there_with_its_options(tmp_path):
    strong = Attacked("pgd", 8 / 255, options={"max_iter": 40, "num_random_init": 3})
    both = Then(NIGHT, replace(strong, norm="l2", eps=0.5))
    evaluation = made_up(("one",), [Clean(), FOG, strong, both], n=20)
    documents = {name: to_document(condition) for name, condition in evaluation.conditions.items()}
    evaluation = replace(evaluation, manifest={**evaluation.manifest, "conditions": documents})
    page, _, markdown = read_report(evaluation, tmp_path)
    lines = {
        "clean": "clean",
        "fog 3": "corrupted: corruption fog, severity 3",
        "pgd linf 8/255": "attacked: attack pgd, eps 8/255, norm linf, max iter 40, num random init 3",
        "domain night 3, then pgd l2 0.5": "in domain: domain night, severity 3, then "
        "attacked: attack pgd, eps 0.5, norm l2, max iter 40, num random init 3",
    }
    assert dict(condition_facts(in_words(evaluation).manifest)) == lines
    for name, text in lines.items():
        assert f"{name} {text}" in page.text
        assert f"- {name}: {text}\n" in markdown.replace("\\", "")


@pytest.mark.parametrize("conditions", [None, 3, [], "x"])
def test_a_manifest_without_conditions_has_none(conditions):
    assert condition_facts({"conditions": conditions}) == ()
    assert condition_facts({"conditions": {"": None, "a": {"type": "custom", "name": "f"}}}) == (
        ("(no name)", MISSING),
        ("a", "custom: name f"),
    )


def test_names_are_said_once():
    assert words_beyond_the_name("fog at severity 3", FOG, "fog 3") == ""
    assert words_beyond_the_name("motion blur at severity 2", Corrupted("motion_blur", 2), "motion_blur 2") == ""
    assert words_beyond_the_name("fog at severity 3", FOG, "mist") == "fog at severity 3"
    assert words_beyond_the_name("domain night at severity 3, Night severity 3", NIGHT, "dark") == (
        "domain night at severity 3"
    )
    both = Then(NIGHT, PGD[0])
    shown = shown_names({both.name: both})[both.name]
    assert words_beyond_the_name("domain night at severity 3, Night severity 3", both, shown) == ""
    turned = "domain negative at severity 5; then Rotation angle 20 degrees"
    assert words_beyond_the_name(turned, Then(InDomain("negative", 5), Custom(max)), "domain negative 5, then max") == (
        "Rotation angle 20 degrees"
    )
    assert words_beyond_the_name("angle 12 degrees", FOG, "fog 3") == "angle 12 degrees"


@pytest.mark.parametrize("condition", [Corrupted("motion_blur", 5), *(InDomain(name, 5) for name in DOMAINS)], ids=str)
def test_what_performing_says_is_not_repeated(condition, classifier, images):
    """In the words of what really ran, whatever they are, the severity is never told again."""
    block = Block(np.arange(2), images[:2], np.zeros(2, int), ("", ""), 0, 2)
    run = corrupt_all if isinstance(condition, Corrupted) else map_all
    ((changed,),) = run(Performance(SimpleNamespace(estimator=classifier), None), [condition], block)
    assert "severity 5" in changed.words(0)
    assert "severity" not in words_beyond_the_name(changed.words(0), condition, condition.name)

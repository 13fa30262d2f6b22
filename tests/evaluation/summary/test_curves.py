"""Curves along the radius and their area."""

import pytest
from sklearn.metrics import auc

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, Custom, Then
from art_domainrand.evaluation.summary import Curve, curve, curves, families

from support.evaluation import made_up
from support.summary import share, tabled

CLEAN, FOG = Clean(), Corrupted("fog", 3)
PGD = {eps: Attacked("pgd", eps / 255) for eps in (8, 1, 4)}


def test_families_differ_only_in_the_radius():
    slow = Attacked("pgd", 2 / 255, options={"max_iter": 100})
    kinds = [*PGD.values(), Attacked("pgd", 1.0, "l2"), slow, CLEAN, Then(FOG, PGD[4]), Then(FOG, PGD[1]), Custom(max)]
    found = families(tabled({"m": {one: share(1, 2) for one in kinds[:4]}}))
    assert found == {"pgd linf": tuple(PGD[eps].name for eps in (1, 4, 8)), "pgd l2": ("pgd l2 1",)}
    evaluation = made_up(conditions=kinds)
    assert families(evaluation)["pgd linf (pgd linf 2/255)"] == ("pgd linf 2/255",)
    assert families(evaluation)["fog 3 > pgd linf"] == ("fog 3 > pgd linf 1/255", "fog 3 > pgd linf 4/255")
    assert len(families(evaluation)) == 4


def test_a_curve_begins_at_the_clean_images():
    accuracies = {CLEAN: 90, PGD[8]: 10, PGD[1]: 80, PGD[4]: 50}
    evaluation = tabled({"m": {one: share(right, 100) for one, right in accuracies.items()}})
    found = curve(evaluation, "m", "pgd linf")
    assert found.eps == (0, 1 / 255, 4 / 255, 8 / 255)
    assert found.accuracies == (0.9, 0.8, 0.5, 0.1)
    assert found.rows[1] == evaluation.accuracy("m", PGD[1].name)
    assert found.area == pytest.approx((0.85 * 1 + 0.65 * 3 + 0.3 * 4) / 8)
    assert found.area == pytest.approx(auc([0, 1, 4, 8], found.accuracies) / 8)
    assert curve(evaluation, "m", PGD[4].name) == found
    assert curves(evaluation, "m") == (found,)
    assert Curve.from_json(found.to_json()) == found


def test_a_curve_inside_a_domain_begins_there():
    kinds = {CLEAN: 10, FOG: 7, Then(FOG, PGD[4]): 3}
    found = curve(tabled({"m": {one: share(right, 10) for one, right in kinds.items()}}), "m", "fog 3 > pgd linf")
    assert (found.eps, found.accuracies) == ((0, 4 / 255), (0.7, 0.3))
    assert found.area == pytest.approx(0.5)


def test_without_its_beginning_a_curve_has_no_area():
    evaluation = tabled({"m": {PGD[1]: share(8, 10), PGD[4]: share(3, 10)}})
    assert curve(evaluation, "m", "pgd linf").area is None
    assert curves(tabled({"m": {PGD[1]: share(8, 10)}}), "m") == ()


def test_an_attack_at_radius_zero_is_the_beginning():
    kinds = {CLEAN: 10, Attacked("pgd", 0): 9, PGD[4]: 3}
    found = curve(tabled({"m": {one: share(right, 10) for one, right in kinds.items()}}), "m", "pgd linf")
    assert found.accuracies == (0.9, 0.3)
    alone = curve(tabled({"m": {Attacked("pgd", 0): share(9, 10)}}), "m", "pgd linf")
    assert alone.area == 0.9


def test_unknown_families_are_refused():
    with pytest.raises(ValueError, match="did you mean 'pgd linf'"):
        curve(made_up(), "plain", "pdg linf")
    with pytest.raises(ValueError, match="which has none, got 'pgd linf'"):
        curve(tabled({"m": {CLEAN: share(1, 2)}}), "m", "pgd linf")
    with pytest.raises(ValueError, match="eps must ascend"):
        Curve("m", "pgd", (1.0, 0.0), (), None)

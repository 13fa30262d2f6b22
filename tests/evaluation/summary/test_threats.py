"""Unions of threats, robust accuracy at a radius, competitiveness, and classes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest, chi2_contingency

from art_domainrand.evaluation.conditions import (
    Attacked,
    Clean,
    Composite,
    Corrupted,
    Custom,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
)
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary import (
    Competitiveness,
    ThreatUnion,
    WorstClass,
    always_right,
    class_accuracy,
    competitiveness,
    kind_of,
    names_of_kind,
    robust_accuracy,
    union,
    worst_class,
)

from support.evaluation import made_up
from support.summary import share, tabled

CLEAN, WEAK, STRONG, FOG = Clean(), Attacked("pgd", 1 / 255), Attacked("pgd", 8 / 255), Corrupted("fog", 3)
L2 = Attacked("pgd", 8 / 255, "l2")


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        (Clean(), "clean"),
        (STRONG, "attacked"),
        (DomainAttacked("sim2real"), "attacked"),
        (Composite("sim2real", 0.1), "attacked"),
        (FOG, "corrupted"),
        (InDomain("night", 2), "shifted"),
        (Randomized("sim2real"), "shifted"),
        (Custom(max), "custom"),
        (Then(FOG, STRONG), "attacked"),
        (Then(STRONG, FOG), "attacked"),
        (Then(FOG, InDomain("night", 2)), "shifted"),
        (Then(Clean(), FOG), "corrupted"),
        (Then(Clean(), Clean()), "clean"),
        (Then(STRONG, Custom(max)), "custom"),
        (Union((STRONG, L2)), "attacked"),
        (Union((FOG, InDomain("night", 2))), "attacked"),
        (Union((FOG, Corrupted("snow", 1))), "corrupted"),
        (Union((FOG, Custom(max))), "custom"),
    ],
)
def test_every_condition_has_a_kind(condition, kind):
    assert kind_of(condition) == kind


def test_names_of_a_kind_keep_the_order_of_the_table():
    evaluation = made_up()
    assert names_of_kind(evaluation, "clean") == ("clean",)
    assert names_of_kind(evaluation, "attacked")[-1] == "fog 3 > pgd linf 4/255"
    assert len(names_of_kind(evaluation, "clean", "attacked", "corrupted", "shifted")) == len(evaluation.conditions)


@settings(max_examples=50, deadline=None)
@given(arrays(bool, (3, 2, 12)))
def test_the_union_is_the_worst_case_of_each_sample(right):
    evaluation = tabled({"m": {CLEAN: right[0], STRONG: right[1], FOG: right[2]}})
    found = union(evaluation, "m")
    lost = {k for c in range(3) for d in range(2) for k in range(12) if not right[c, d, k]}
    assert found.row == Row.count("m", "union of 3", 12 - len(lost), 12)
    assert found.row.accuracy <= found.weakest.accuracy <= found.mean + 1e-12
    assert found.mean == pytest.approx(right.mean())
    assert found.row.accuracy <= union(evaluation, "m", ["clean", FOG.name]).row.accuracy
    assert ThreatUnion.from_json(found.to_json()) == found


def test_a_union_of_one_is_that_condition():
    evaluation = tabled({"m": {CLEAN: share(9, 10), STRONG: share(4, 10)}})
    assert union(evaluation, "m", [STRONG.name]).row == evaluation.accuracy("m", STRONG.name)


def test_unknown_names_are_refused_with_the_nearest():
    evaluation = made_up()
    with pytest.raises(ValueError, match="did you mean 'plain'"):
        union(evaluation, "plane")
    with pytest.raises(ValueError, match="did you mean 'clean'"):
        union(evaluation, "plain", ["clear"])
    with pytest.raises(ValueError, match="conditions must name at least one"):
        union(evaluation, "plain", [])


def test_conditions_over_different_samples_have_no_union():
    evaluation = tabled({"m": {CLEAN: share(9, 10), STRONG: share(4, 8)}})
    with pytest.raises(ValueError, match="8 samples of 'pgd linf 8/255' and 10 of 'clean'"):
        always_right(evaluation.outcomes, "m", ["clean", STRONG.name])


def test_an_example_at_a_smaller_radius_counts_at_a_larger_one():
    """One attack breaks at 4/255 what another, run at 8/255 only, cannot break."""
    small, large = Attacked("autopgd", 4 / 255), Attacked("pgd", 8 / 255)
    evaluation = tabled({"m": {CLEAN: share(9, 10), small: share(3, 10), large: share(7, 10)}})
    assert robust_accuracy(evaluation, "m", "linf", 8 / 255).accuracy == 0.3
    assert robust_accuracy(evaluation, "m", "linf", 4 / 255).accuracy == 0.3


def test_robust_accuracy_unites_the_attacks_of_a_norm_at_a_radius():
    """Clean images lose one sample, two attacks five more; another falls on a larger ball, one in another norm."""
    lost = [{0}, {1, 2, 3}, {4, 5}, {6}, {7}, {8}]
    kinds = [CLEAN, STRONG, Attacked("fgsm", 8 / 255), Attacked("pgd", 9 / 255), L2, Then(FOG, STRONG)]
    evaluation = tabled({"m": {one: [k not in gone for k in range(10)] for one, gone in zip(kinds, lost, strict=True)}})
    assert robust_accuracy(evaluation, "m", "linf", 8 / 255) == Row.count("m", "robust linf 8/255", 4, 10)
    assert robust_accuracy(evaluation, "m", np.inf, 0.03137255) == Row.count("m", "robust linf 8/255", 4, 10)
    assert robust_accuracy(evaluation, "m", 2, 8 / 255).accuracy == 0.8
    with pytest.raises(ValueError, match=r"\(l2 8/255, linf 8/255, linf 9/255\), got linf 0.031$"):
        robust_accuracy(evaluation, "m", "linf", 0.031)


TABLE = tabled(
    {
        "a": {CLEAN: share(90, 100), WEAK: share(88, 100), STRONG: share(30, 100), FOG: share(0, 100)},
        "b": {CLEAN: share(80, 100), WEAK: share(79, 100), STRONG: share(60, 100), FOG: share(0, 100)},
    }
)


def test_accuracy_over_the_best_of_the_table():
    """By hand; nobody is right in fog, where there is no ratio."""
    a, b = competitiveness(TABLE, "a"), competitiveness(TABLE, "b")
    assert a.ratios == (1, 1, 0.5)
    assert b.ratios == pytest.approx((80 / 90, 79 / 88, 1))
    assert (a.mean, a.minimum, a.weakest) == (pytest.approx(2.5 / 3), 0.5, STRONG.name)
    assert (b.minimum, b.weakest) == (pytest.approx(80 / 90), "clean")
    # Clean and the weak attack are near by the reference (.90 and .88): b changes by .01 where that changes by .02.
    assert b.stability == pytest.approx(0.5)
    assert Competitiveness.from_json(b.to_json()) == b


def test_accuracy_over_a_given_reference():
    """MultiRobustBench's own sums, with numbers of its table: Linf 0.03 and 0.025 are 44.69 and 50.98, clean 94.20."""
    reference = {"clean": 0.942, STRONG.name: 0.4469, WEAK.name: 0.4650}
    found = competitiveness(TABLE, "a", reference, seen=[STRONG.name])
    ratios = [0.9 / 0.942, 0.3 / 0.4469, 0.88 / 0.4650]
    assert found.mean == pytest.approx(sum(ratios) / 3)
    assert found.minimum == pytest.approx(min(ratios))
    assert found.stability == pytest.approx((0.88 - 0.30) / (0.4650 - 0.4469))
    assert competitiveness(TABLE, "a", reference).stability is None  # nothing is near the clean images
    with pytest.raises(ValueError, match=r"reference\['clean'\] must be an accuracy in \(0, 1\], got 94.2"):
        competitiveness(TABLE, "a", {"clean": 94.2})
    with pytest.raises(ValueError, match="did you mean 'clean'"):
        competitiveness(TABLE, "a", {"clear": 0.9})


def test_accuracy_class_by_class():
    """Ten samples, even ones of class 0; the union loses two of these and one of class 1."""
    kinds = {CLEAN: [k != 0 for k in range(10)], STRONG: [k not in (2, 5) for k in range(10)]}
    evaluation = tabled({"m": kinds})
    assert class_accuracy(evaluation, "m", "clean") == (
        Row.count("m", "class 0", 4, 5),
        Row.count("m", "class 1", 5, 5),
    )
    rows = class_accuracy(evaluation, "m", list(evaluation.conditions))
    assert [row.accuracy for row in rows] == [0.6, 0.8]


def test_classes_without_images_are_left_out():
    evaluation = tabled({"m": {CLEAN: share(2, 3)}}, classes=10)
    assert [row.cell for row in class_accuracy(evaluation, "m", "clean")] == ["class 0", "class 1", "class 2"]


def test_the_worst_class_and_what_chance_explains():
    rows = [Row.count("m", f"class {k}", right, 50) for k, right in enumerate((40, 20, 45, 44))]
    found = worst_class(rows)
    wide = binomtest(20, 50).proportion_ci(1 - 0.05 / 4, method="wilson")
    assert found.row == rows[1]
    assert (found.low, found.high) == pytest.approx((wide.low, wide.high))
    assert found.low < found.row.low < found.row.high < found.high
    assert found.p == pytest.approx(chi2_contingency([[40, 20, 45, 44], [10, 30, 5, 6]]).pvalue)
    assert found.stands_out
    assert WorstClass.from_json(found.to_json()) == found


def test_two_classes_are_compared_without_a_correction():
    found = worst_class([Row.count("m", "one", 31, 50), Row.count("m", "two", 40, 50)])
    assert found.p == pytest.approx(chi2_contingency([[31, 40], [19, 10]], correction=False).pvalue)
    assert found.stands_out
    assert chi2_contingency([[31, 40], [19, 10]]).pvalue > 0.05


@pytest.mark.parametrize("right", [(50, 50), (0, 0), (24, 26)])
def test_equal_classes_do_not_stand_out(right):
    assert not worst_class([Row.count("m", f"class {k}", one, 50) for k, one in enumerate(right)]).stands_out


def test_the_interval_of_the_worst_class_holds_for_the_lowest_of_many():
    """Ten classes of equal accuracy .7: the lowest count's own interval misses .7 far more often than the wide one."""
    counts = np.random.default_rng(0).binomial(40, 0.7, (100, 10))
    found = [worst_class([Row.count("m", str(k), one, 40) for k, one in enumerate(line)]) for line in counts.tolist()]
    alone = np.mean([one.row.low <= 0.7 <= one.row.high for one in found])
    wide = np.mean([one.low <= 0.7 <= one.high for one in found])
    assert alone < 0.9 < 0.95 - 2 * math.sqrt(0.05 * 0.95 / 100) < wide

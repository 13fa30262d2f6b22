"""Two models sample by sample: McNemar, Holm, Newcombe."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import confint_proportions_2indep

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary import Comparison, compare
from art_domainrand.evaluation.summary.paired import paired_interval

from support.evaluation import made_up
from support.summary import share, tabled

CLEAN, PGD, FOG = Clean(), Attacked("pgd", 0.1), Corrupted("fog", 3)


def pair(both, only_first, only_second, neither):
    """Two vectors of right and wrong with these counts."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


TABLES = [(40, 2, 9, 49), (10, 30, 10, 50), (90, 5, 4, 1), (0, 0, 6, 94)]
FOUR = [CLEAN, PGD, FOG, Attacked("pgd", 0.2)]


def of(tables, models=("a", "b")):
    pairs = [pair(*table) for table in tables]
    return tabled({m: {c: one[k] for c, one in zip(FOUR, pairs, strict=False)} for k, m in enumerate(models)})


def test_every_condition_is_tested_exactly():
    found = compare(of(TABLES))
    assert (found.first, found.second, found.n) == ("a", "b", 100)
    for one, (both, first, second, _) in zip(found.results, TABLES, strict=True):
        assert (one.only_first, one.only_second) == (first, second)
        assert one.first == Row.count("a", one.condition, both + first, 100)
        assert one.second == Row.count("b", one.condition, both + second, 100)
        assert one.difference == pytest.approx((second - first) / 100)
        assert one.p == pytest.approx(binomtest(first, first + second).pvalue)
        assert one.low <= one.difference <= one.high
    assert Comparison.from_json(found.to_json()) == found


def test_holm_corrects_for_the_number_of_conditions():
    """Step down: the least p times 4, the next times 3, and so on; never less than the one before."""
    found = compare(of(TABLES))
    order = np.argsort([one.p for one in found.results])
    wanted = np.minimum(1, np.maximum.accumulate([found.results[k].p * (4 - rank) for rank, k in enumerate(order)]))
    assert [found.results[k].corrected for k in order] == pytest.approx(wanted.tolist())
    assert [one.condition for one in found.significant] == [PGD.name]
    assert found.results[3].p < 0.05 < found.results[3].corrected
    alone = compare(of(TABLES), conditions=[CLEAN.name])
    assert alone.results[0].corrected == alone.results[0].p


def test_equal_models_do_not_differ():
    found = compare(of([(60, 0, 0, 40)])).results[0]
    assert (found.p, found.corrected, found.difference) == (1, 1, 0)
    assert found.low < 0 < found.high


@pytest.mark.parametrize("table", [(30, 20, 30, 20), (0, 0, 60, 40), (100, 0, 0, 0), (15, 10, 45, 30)])
def test_without_correlation_the_interval_is_that_of_independent_samples(table):
    """Where the product of both and neither is no more than that of the others, phi is 0 or there is none."""
    first, second = pair(*table)
    assert table[0] * table[3] == table[1] * table[2]
    counts = int(first.sum()), int(second.sum())
    peer = confint_proportions_2indep(counts[0], 100, counts[1], 100, compare="diff", method="newcomb")
    assert paired_interval(first, second) == pytest.approx(peer, abs=1e-12)


def test_the_published_example():
    """Airways before and after a transplantation, an example of Fagerland, Lydersen and Laake (2014)."""
    assert paired_interval(*pair(1, 1, 7, 12)) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_agreement_makes_the_interval_narrower_and_disagreement_wider():
    independent, alike, unlike = (
        np.diff(paired_interval(*pair(*table)))[0] for table in ((25, 25, 25, 25), (45, 5, 5, 45), (5, 45, 45, 5))
    )
    assert alike < independent < unlike


def test_the_interval_turns_round_with_the_sides():
    first, second = pair(40, 2, 9, 49)
    low, high = paired_interval(first, second)
    assert paired_interval(second, first) == pytest.approx((-high, -low))


@pytest.mark.parametrize("chances", [(0.55, 0.05, 0.15, 0.25), (0.9, 0.04, 0.01, 0.05)])
def test_the_interval_covers_the_true_difference(chances):
    """Over 200 tables of 100 samples; McNemar's own Wald interval is short of 95% at such counts, this one is not."""
    counts = np.random.default_rng(0).multinomial(100, chances, 200)
    held = [low <= chances[1] - chances[2] <= high for low, high in (paired_interval(*pair(*n)) for n in counts)]
    assert np.mean(held) > 0.95 - 2.5 * math.sqrt(0.05 * 0.95 / 200)


def test_two_runs_are_compared_by_the_conditions_they_share():
    one = tabled({"net": {CLEAN: share(9, 10), PGD: share(3, 10)}})
    two = tabled({"net": {CLEAN: share(8, 10), FOG: share(3, 10)}})
    found = compare(one, two)
    assert [row.condition for row in found.results] == ["clean"]
    assert (found.first, found.second) == ("net (first)", "net (second)")
    assert found.results[0].difference == pytest.approx(-0.1)
    assert compare(one, tabled({"other": {CLEAN: share(8, 10)}})).second == "other"


def test_one_name_with_two_meanings_is_not_compared():
    one = tabled({"net": {CLEAN: share(9, 10), PGD: share(3, 10)}}, names=["clean", "attack"])
    two = tabled({"net": {CLEAN: share(8, 10), Attacked("pgd", 0.2): share(1, 10)}}, names=["clean", "attack"])
    found = compare(one, two)
    assert found.skipped == ("attack (not defined alike)",)
    assert "not compared: attack (not defined alike)" in str(found)
    with pytest.raises(ValueError, match="conditions must leave one that both define alike"):
        compare(one, two, conditions=["attack"])


def test_draws_count_at_their_worst_and_as_many_of_both():
    """The third draw of one side, which loses another sample, has no other side."""
    one = tabled({"net": {PGD: [[1, 1, 1, 0], [1, 1, 0, 1], [0, 1, 1, 1]]}})
    two = tabled({"net": {PGD: [[1, 1, 1, 1], [1, 1, 1, 0]]}})
    found = compare(one, two).results[0]
    assert (found.first.accuracy, found.second.accuracy) == (0.5, 0.75)


def test_the_table_can_be_read():
    lines = str(compare(of(TABLES))).splitlines()
    assert lines[0].split() == ["condition", "a", "b", "difference", "only", "right", "p", "Holm"]
    assert lines[2].startswith("clean")
    assert "42.0%  49.0%  +7.0 [" in lines[2]
    assert "2 / 9" in lines[2]
    assert "100 samples" in lines[-1]


def test_which_models_must_be_said_where_there_is_a_choice():
    three = made_up(("a", "b", "c"))
    assert compare(three, models=("c", "a")).first == "c"
    for others in ((three,), (three, three)):
        with pytest.raises(ValueError, match="models must be given unless"):
            compare(*others)
    assert compare(three, made_up(("d", "c"))).first == "c (first)"
    with pytest.raises(ValueError, match="models must be among"):
        compare(three, models=("a", "z"))
    with pytest.raises(ValueError, match="models must name one of each side"):
        compare(three, models=("a",))
    with pytest.raises(ValueError, match="conditions must be among"):
        compare(made_up(), conditions=["clear"])


def changed(evaluation, field, values):
    table = evaluation.outcomes
    rows = table.rows.copy()
    rows[field] = values(rows[field])
    return Evaluation(
        Outcomes(rows, table.models, table.conditions, table.classes), evaluation.conditions, evaluation.manifest
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda one: changed(one, "sample", lambda s: s + 1),
            "be over the same samples, got 10 and 10 samples in",
        ),
        (lambda one: changed(one, "label", lambda label: 1 - label), "have the same labels, got others in 'clean'"),
        (
            lambda one: tabled({"net": {CLEAN: share(4, 8)}}),
            "be over the same samples, got 10 and 8 samples in",
        ),
        (lambda one: tabled({"net": {CLEAN: share(4, 10)}}, classes=3), "have the same classes, got"),
        (lambda one: replace(one, manifest={"data": {"digest": "b"}}), "be over the same data, got other images"),
    ],
)
def test_tables_over_other_samples_are_refused(other, message):
    one = replace(tabled({"net": {CLEAN: share(9, 10)}}), manifest={"data": {"digest": "a"}})
    with pytest.raises(ValueError, match=message):
        compare(one, other(one))


def test_an_attack_along_other_radii_is_another():
    """Examples come down a curve from radius to radius: with others beside it, the same attack breaks more."""
    linf, l2 = Attacked("pgd", 0.1), Attacked("pgd", 0.1, "l2")
    one = tabled({"m": {Clean(): share(9, 10), linf: share(5, 10), l2: share(5, 10)}})
    more = {Clean(): share(9, 10), linf: share(3, 10), Attacked("pgd", 0.05): share(4, 10), l2: share(4, 10)}
    other = tabled({"m": more})
    found = compare(one, other)
    assert [result.condition for result in found.results] == ["clean", "pgd l2 0.1"]
    assert found.skipped == ("pgd linf 0.1 (attacked along other radii)",)
    assert "not compared: pgd linf 0.1 (attacked along other radii)" in str(found)

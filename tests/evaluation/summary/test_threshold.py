"""Requirements as text: what they mean, and what is refused."""

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, DomainAttacked, Then
from art_domainrand.evaluation.summary import (
    Threshold,
    ThresholdResult,
    calibration,
    check_measurable,
    check_thresholds,
    class_accuracy,
    corruption_report,
    curve,
    parse_thresholds,
    robust_accuracy,
    union,
    worst_class,
)
from art_domainrand.evaluation.summary.measures import ARGUMENTS, MEASURES

from support.evaluation import made_up
from support.summary import share, tabled

CLEAN, FOG, PGD = Clean(), Corrupted("fog", 3), Attacked("pgd", 8 / 255)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("clean>=0.9", [("clean", "", ">=", 0.9)]),
        (" robust( linf , 8/255 ) >= 40% ", [("robust", "linf , 8/255", ">=", 0.4)]),
        ("mce<.5;union>1/4", [("mce", "", "<", 0.5), ("union", "", ">", 0.25)]),
        ("clean >= 1e-1 and mce(plain) <= 1", [("clean", "", ">=", 0.1), ("mce", "plain", "<=", 1)]),
        ("accuracy(fog 3 > pgd linf 4/255) >= 0.1", [("accuracy", "fog 3 > pgd linf 4/255", ">=", 0.1)]),
        ('accuracy("rain; and (snow)")>0; clean>0;', [("accuracy", "rain; and (snow)", ">", 0), ("clean", "", ">", 0)]),
        ("accuracy(salt and pepper) > 0", [("accuracy", "salt and pepper", ">", 0)]),
        ("ece(worst (a, b)) <= 0.1", [("ece", "worst (a, b)", "<=", 0.1)]),
    ],
)
def test_texts_and_what_they_mean(text, wanted):
    found = parse_thresholds(text)
    assert found == tuple(Threshold(*one) for one in wanted)
    assert Threshold.from_json(found[0].to_json()) == found[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "hold a requirement such as"),
        (" ; and ;", "hold a requirement such as"),
        ("rubust(linf, 8/255) >= 0.4", "got 'rubust'; did you mean 'robust'"),
        ("clean", "have the form"),
        ("clean >=", "have the form"),
        ("clean == 0.5", "have the form"),
        ("clean >= 90", "be in \\[0, 1\\] or a percentage such as 90%, got '90'"),
        ("union < -0.1", "be in \\[0, 1\\]"),
        ("area(pgd linf) >= 140%", "be in \\[0, 1\\]"),
        ("0.4 <= clean", "have the form"),
        ("clean >= many", "the bound of clean must be a number, a fraction or a percentage, got 'many'"),
        ("clean >= 1/0", "not divide by zero"),
        ("clean >= 1e999", "be finite"),
        ("clean >= nan", "be a number"),
        ("accuracy >= 0.5", r"name what to measure: accuracy\(NAME\)"),
        ("clean(x) >= 0.5", "give clean no argument"),
        ("robust(linf, 8/255 >= 0.5", "close its parentheses and quotes"),
        ("accuracy('x) >= 0.5", "close its parentheses and quotes"),
        ("__import__('os') >= 1", "measure one of"),
    ],
)
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_thresholds(text)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("clean robust(linf,8/255)>=0.4;and'\"%" + string.punctuation), max_size=40))
@example("clean>=0" + ")" * 5)
def test_any_text_is_read_or_refused(text):
    try:
        found = parse_thresholds(text)
    except ValueError:
        return
    assert {one.measure for one in found} <= set(MEASURES)


def test_every_measure_is_what_its_function_says():
    """Against the functions themselves, whose tests say what they are worth."""
    evaluation = made_up()
    fog = "fog 3 > pgd linf 4/255"
    wanted = {
        "clean": evaluation.accuracy("plain", "clean").accuracy,
        f"accuracy({fog})": evaluation.accuracy("plain", fog).accuracy,
        "robust(inf, 8/255)": robust_accuracy(evaluation, "plain", "linf", 8 / 255).accuracy,
        "union": union(evaluation, "plain").row.accuracy,
        f"worst_class({fog})": worst_class(class_accuracy(evaluation, "plain", fog)).row.accuracy,
        "area(pgd linf)": curve(evaluation, "plain", "pgd linf").area,
        "mce": corruption_report(evaluation, "plain").mean_error(),
        "mce(robust)": corruption_report(evaluation, "plain").mean_error(corruption_report(evaluation, "robust")),
        "ece(fog 3)": calibration(evaluation, "plain", "fog 3").error,
    }
    assert {name.partition("(")[0] for name in wanted} == set(MEASURES) == set(ARGUMENTS)
    for name, value in wanted.items():
        low, high = (check_thresholds(evaluation, f"{name} {sign} {value!r}", "plain")[0] for sign in (">=", "<"))
        assert (low.met, high.met, low.value) == (True, False, value), name
        assert ThresholdResult.from_json(low.to_json()) == low
        check_measurable((low.threshold,), evaluation.models, evaluation.conditions)
    assert len({round(value, 6) for value in wanted.values()}) == len(wanted)


def test_every_model_must_reach_every_bound():
    evaluation = tabled({"a": {CLEAN: share(9, 10), PGD: share(5, 10)}, "b": {CLEAN: share(9, 10), PGD: share(3, 10)}})
    found = check_thresholds(evaluation, "robust(linf, 8/255) >= 0.4; clean >= 90%")
    assert [(one.model, one.met) for one in found] == [("a", True), ("a", True), ("b", False), ("b", True)]
    assert [one.model for one in check_thresholds(evaluation, "clean>0", "b")] == ["b"]
    assert str(found[2]).startswith("NOT MET: robust(linf, 8/255) >= 0.4 for 'b', got 0.3 (95% interval 0.1")
    assert str(found[1]).startswith("met: clean >= 0.9")


@pytest.mark.parametrize(
    "text", ["robust(linf, 8/255) >= 0.4", "union > 0.4", "accuracy(fog 3 > pgd linf 8/255) > 0.4"]
)
def test_an_error_of_the_diagnosis_proves_no_robustness(text):
    kinds = {CLEAN: share(9, 10), PGD: share(5, 10), Then(FOG, PGD): share(5, 10)}
    broken = check_thresholds(tabled({"m": kinds}, findings=[("gradient", "error")]), text)[0]
    assert not broken.met
    assert broken.note == "no attack can say so, because it has no gradient for attacks to follow"
    doubted = check_thresholds(tabled({"m": kinds}, findings=[("zero_gradients", "warning")]), text)[0]
    assert (doubted.met, doubted.note) == (True, "at most, because its gradients vanish")
    assert check_thresholds(tabled({"m": kinds}), text)[0].note == ""


def test_clean_images_and_upper_bounds_need_no_diagnosis():
    evaluation = tabled({"m": {CLEAN: share(9, 10), PGD: share(5, 10)}}, findings=[("gradient", "error")])
    found = check_thresholds(evaluation, "clean >= 0.9; robust(linf, 8/255) <= 0.6")
    assert [(one.met, one.note) for one in found] == [(True, "")] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy(clear) > 0", "did you mean 'clean'"),
        ("robust(linf, 7/255) > 0", "got linf 7/255"),
        ("robust(8/255) > 0", r"as in robust\(linf, 8/255\)"),
        ("robust(l7, 8/255) > 0", "norm must be"),
        ("area(pdg linf) > 0", "did you mean 'pgd linf'"),
        ("ece(clear) > 0", "did you mean 'clean'"),
        ("mce(plane) > 0", "did you mean 'plain'"),
        ("worst_class(clear) > 0", "did you mean 'clean'"),
    ],
)
def test_what_the_table_does_not_hold_is_refused(text, message):
    evaluation = made_up()
    with pytest.raises(ValueError, match=message):
        check_thresholds(evaluation, text)
    with pytest.raises(ValueError, match=message):
        check_measurable(parse_thresholds(text), evaluation.models, evaluation.conditions)


def test_what_has_no_value_is_refused():
    evaluation = tabled({"m": {PGD: share(5, 10)}, "n": {PGD: share(5, 10)}})
    with pytest.raises(ValueError, match="clean must be among the conditions"):
        check_thresholds(evaluation, "clean > 0")
    with pytest.raises(ValueError, match="area must have the images that the attack starts from"):
        check_thresholds(evaluation, "area(pgd linf) > 0")
    perfect = tabled({"m": {CLEAN: share(5, 5), FOG: share(4, 5)}, "n": {CLEAN: share(5, 5), FOG: share(5, 5)}})
    with pytest.raises(ValueError, match="mce must be relative to a model that errs under every corruption, got 'n'"):
        check_thresholds(perfect, "mce(n) < 1", "m")


def test_a_search_among_draws_does_not_excuse_attacks_that_have_no_gradient():
    """The worst draw is found without gradients, but says nothing of the ball that the requirement is about."""
    right = {CLEAN: share(9, 10), PGD: share(9, 10), DomainAttacked("mild"): share(5, 10)}
    evaluation = tabled({"m": right}, findings=[("gradient", "error")])
    (found,) = check_thresholds(evaluation, "robust(linf, 8/255) >= 0.4")
    assert not found.met
    assert "no attack can say so" in found.note
    right[Attacked("art:SquareAttack", 8 / 255)] = share(6, 10)
    black_box = tabled({"m": right}, findings=[("gradient", "error")])
    assert check_thresholds(black_box, "robust(linf, 8/255) >= 0.4")[0].met

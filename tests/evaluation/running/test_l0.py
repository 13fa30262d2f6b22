"""Closest examples in L0 as conditions: a count of elements, on curves, tables, commands and pages."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_domainrand import MinimumNorm
from art_domainrand.cli.asked_conditions import asked_conditions
from art_domainrand.cli.run_config import RunConfig
from art_domainrand.evaluation import Attacked, Clean, Composite, evaluate, load_evaluation, robust_accuracy
from art_domainrand.evaluation.conditions.presets import CONDITION_PRESETS, preset_conditions
from art_domainrand.evaluation.outcomes import OUTCOME, WITHOUT_L0, Outcomes, completed
from art_domainrand.evaluation.report.robustbench import robustbench_text
from art_domainrand.evaluation.report.sections.curves import curve_figures
from art_domainrand.evaluation.running import plan
from art_domainrand.evaluation.running.attacks import attack_entry
from art_domainrand.evaluation.running.block import pulled_back

from support.estimators import make_classifier
from support.performing import inner_images, linear

STEPS = {"max_iter": 60}


def fewest_of(model, weight, x, y):
    """How many elements must go to an end of [0, 1] before a linear model of two classes errs: the largest gains."""
    scores = model.predict(x)
    lead = scores[np.arange(len(x)), y] - scores[np.arange(len(x)), 1 - y]
    falls = weight[1 - y] - weight[y]
    pixels = x.reshape(len(x), -1)
    gains = -np.sort(-np.where(falls > 0, falls * (1 - pixels), -falls * pixels), axis=1)
    return (gains.cumsum(1) <= lead[:, None]).sum(1) + 1


def test_the_curve_of_a_linear_model_is_the_closed_form():
    model, weight = linear(clip_values=(0, 1))
    x = inner_images(12)
    y = model.predict(x).argmax(1)
    y[:2] = 1 - y[:2]
    fewest = np.where(model.predict(x).argmax(1) == y, fewest_of(model, weight, x, y), 0)
    radii = range(max(fewest) + 2)
    conditions = {str(k): Attacked("minimum", k, 0, STEPS) for k in radii}
    found = evaluate(model, conditions, (x, y), diagnosed=False).outcomes
    for k in radii:
        rows = found.of("model", str(k))[0]
        assert (rows["right"] == (fewest > k)).all()
        assert (rows["l0"] <= k).all()


def test_the_distances_are_those_of_the_attack_by_hand():
    model = make_classifier()
    x = np.random.default_rng(3).random((8, 1, 8, 8), dtype=np.float32)
    y = model.predict(x).argmax(1)
    closest = MinimumNorm(model, 0, 40, verbose=False, seed=1).find(x, y)
    farthest = Attacked("minimum", 64, "l0", {"max_iter": 40})
    rows = evaluate(model, {"far": farthest}, (x, y), diagnosed=False).outcomes.of("model", "far")[0]
    assert (rows["l0"] == closest.distances).mean() > 0.8  # another seed may find another example
    assert ((rows["l0"] > 0) & ~rows["right"]).all()


@given(st.integers(0, 2**32 - 1))
def test_an_example_is_pulled_back_to_its_largest_changes(seed):
    rng = np.random.default_rng(seed)
    x = rng.random((5, 2, 3, 3), dtype=np.float32)
    found = np.where(rng.random(x.shape) < 0.5, rng.random(x.shape, dtype=np.float32), x)
    radius = rng.integers(0, 12, 5)
    back = pulled_back(x, found, radius, 0)
    change, kept = (np.abs(one.astype(float) - x).reshape(5, -1) for one in (found, back))
    assert ((kept > 0).sum(1) == np.minimum((change > 0).sum(1), radius)).all()
    assert ((kept == change) | (kept == 0)).all()
    least, lost = np.where(kept > 0, kept, np.inf).min(1), np.where(kept == 0, change, 0).max(1)
    assert (lost <= least).all()


def as_before(folder):
    """Make of a folder what the version before would have written: no distances in L0, schema 1."""
    for path in (folder / "blocks").glob("*.npz"):
        rows = np.load(path)["rows"]
        np.savez(path, rows=np.array([tuple(row[name] for name in WITHOUT_L0.names) for row in rows], WITHOUT_L0))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema": 1}))


def test_the_folder_of_an_older_version_is_read_and_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "BLOCK_SIZE", 4)
    x = np.random.default_rng(3).random((12, 1, 8, 8), dtype=np.float32)
    data, conditions = (x, np.arange(12) % 4), [Clean(), Attacked("pgd", 0.1, options={"max_iter": 2})]
    asked = {"out": tmp_path, "diagnosed": False}
    first = evaluate(make_classifier(), conditions, data, **asked).outcomes.rows
    as_before(tmp_path)
    old = load_evaluation(tmp_path).outcomes.rows
    for name in WITHOUT_L0.names:
        np.testing.assert_array_equal(old[name], first[name])
    assert np.isnan(old["l0"]).all()
    min((tmp_path / "blocks").glob("*.npz")).unlink()
    gone_on = evaluate(make_classifier(), conditions, data, **asked).outcomes.rows
    known = ~np.isnan(gone_on["l0"])
    assert 0 < known.sum() < len(known)
    assert (gone_on["l0"] == first["l0"])[known].all()
    assert (gone_on["right"] == first["right"]).all()


def test_rows_of_neither_version_are_left_to_be_refused():
    strange = np.zeros(2, [("model", "<i4")])
    assert completed(strange) is strange
    with pytest.raises(ValueError, match="rows must be"):
        Outcomes(strange, ("m",), ("c",), ("k",))
    assert completed(rows := np.zeros(2, OUTCOME)) is rows


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Attacked("minimum", 2.5, "l0"), "eps must be a whole number in L0, got 2.5"),
        (lambda: Composite("mild", 3, "l0"), "norm must be one of .* got 'l0'"),
        (lambda: attack_entry(Attacked("pgd", 3, "l0")), r"norm must be one of \['linf', 'l2', 'l1'\] for the attack"),
    ],
)
def test_what_l0_has_not_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_the_command_names_l0_beside_other_norms():
    found = asked_conditions(RunConfig(norm=("linf", "l0"), eps=()), 3)
    assert list(found) == ["clean", "strongest linf 8/255", "minimum l0 24"]
    found = asked_conditions(RunConfig(attack=("minimum",), norm=("0",), eps=("3", "10")), 1, width=255.0)
    assert list(found.values()) == [Clean(), Attacked("minimum", 3, "l0"), Attacked("minimum", 10, "l0")]


@pytest.mark.parametrize("preset", CONDITION_PRESETS)
@pytest.mark.parametrize("eps", [None, 10, [1, 5]])
def test_every_preset_has_whole_radii_in_l0_each_condition_once(preset, eps):
    found = preset_conditions(preset, norm="l0", eps=eps, width=255.0)
    in_l0 = [one for one in found if isinstance(one, Attacked) and one.norm == "l0"]
    assert in_l0
    assert {one.attack for one in in_l0} == {"minimum"}
    assert all(one not in found[:place] for place, one in enumerate(found))


def test_pages_and_files_say_l0():
    model = make_classifier()
    x = np.random.default_rng(3).random((6, 1, 8, 8), dtype=np.float32)
    y = model.predict(x).argmax(1)
    conditions = [Clean(), *(Attacked("minimum", k, "l0", {"max_iter": 20}) for k in (1, 4, 16))]
    evaluation = evaluate(model, conditions, (x, y), diagnosed=False)
    entries = json.loads(robustbench_text(evaluation))["entries"]
    assert [(one["threat_model"], one["eps"]) for one in entries] == [("L0", "1"), ("L0", "4"), ("L0", "16")]
    accuracies = [float(one["robust_acc"]) / 100 for one in entries]
    rights = [robust_accuracy(evaluation, "model", 0, k).accuracy for k in (1, 4, 16)]
    np.testing.assert_allclose(accuracies, rights, atol=1e-4)
    (figure,) = curve_figures(evaluation)
    assert "L0 radius, elements of the image that differ" in figure.svg

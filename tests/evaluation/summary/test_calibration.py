"""Calibration by hand and beside scikit-learn's reliability curve."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.summary import Calibration, calibration, calibrations

from support.evaluation import made_up
from support.summary import share, tabled


def with_confidence(evaluation, confidence):
    """The same table with these confidences, in the order of its rows."""
    table = evaluation.outcomes
    rows = table.rows.copy()
    rows["confidence"] = confidence
    outcomes = Outcomes(rows, table.models, table.conditions, table.classes)
    return Evaluation(outcomes, evaluation.conditions, evaluation.manifest)


def test_by_hand():
    """Four bins: (.25, .5] holds .3 wrong and .5 right, (.75, 1] .9 right, 1 right and .8 wrong; 0 is in the first."""
    evaluation = with_confidence(tabled({"m": {Clean(): [0, 1, 1, 1, 0, 1]}}), [0.3, 0.5, 0.9, 1, 0.8, 0])
    found = calibration(evaluation, "m", "clean", bins=4)
    assert [one.count for one in found.bins] == [1, 2, 0, 3]
    assert found.bins[1].confidence == pytest.approx(0.4)
    assert found.bins[1].accuracy == 0.5
    assert found.bins[2].accuracy is None
    assert found.error == pytest.approx((1 * 1 + 2 * 0.1 + 3 * (0.9 - 2 / 3)) / 6)
    assert found.largest == 1
    assert (found.confidence, found.accuracy) == (pytest.approx(3.5 / 6), pytest.approx(4 / 6))
    assert Calibration.from_json(found.to_json()) == found


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_bins_are_scikit_learns(bins):
    evaluation = made_up(n=400)
    found = calibration(evaluation, "plain", list(evaluation.conditions), bins=bins)
    rows = evaluation.outcomes.rows[evaluation.outcomes.rows["model"] == 0]
    confidence = rows["confidence"].astype(float)
    accuracy, mean = calibration_curve(rows["right"], confidence, n_bins=bins)
    filled = [one for one in found.bins if one.count]
    assert [one.accuracy for one in filled] == pytest.approx(accuracy)
    assert [one.confidence for one in filled] == pytest.approx(mean)
    counts = np.array([one.count for one in filled])
    assert counts.sum() == found.n == len(rows)
    assert found.error == pytest.approx(np.abs(accuracy - mean) @ counts / counts.sum())
    assert found.largest == pytest.approx(np.abs(accuracy - mean).max())


def test_a_model_that_knows_how_sure_it_may_be_is_calibrated():
    """Right with the probability it says; one that is always sure is not."""
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)
    honest = tabled({"m": {Clean(): rng.random(20_000) < confidence}})
    assert calibration(with_confidence(honest, confidence), "m", "clean").error < 0.02
    sure = calibration(with_confidence(honest, 1.0), "m", "clean")
    assert sure.error == pytest.approx(1 - sure.accuracy)


def test_kinds_of_conditions_are_put_together():
    evaluation = made_up()
    found = calibrations(evaluation, "plain")
    assert list(found) == ["clean", "corrupted", "attacked"]
    assert found["corrupted"].conditions == tuple(
        name for name, one in evaluation.conditions.items() if isinstance(one, Corrupted)
    )
    assert found["corrupted"] == calibration(evaluation, "plain", found["corrupted"].conditions)
    alone = tabled({"m": {Clean(): share(1, 2), Attacked("pgd", 0.1): share(1, 2)}})
    assert list(calibrations(alone, "m")) == ["clean", "attacked"]


def test_without_probabilities_there_is_no_calibration():
    evaluation = with_confidence(tabled({"m": {Clean(): share(1, 2)}}), np.nan)
    assert calibrations(evaluation, "m") == {}
    with pytest.raises(ValueError, match="model must give probabilities to have a calibration, got 'm'"):
        calibration(evaluation, "m", "clean")
    with pytest.raises(ValueError, match="bins must be >= 1, got 0"):
        calibration(made_up(), "plain", "clean", bins=0)


def test_with_an_unknown_confidence_in_any_condition_there_is_no_calibration():
    evaluation = tabled({"m": {Clean(): share(1, 2), Attacked("pgd", 0.1): share(1, 2)}})
    confidence = np.full(len(evaluation.outcomes.rows), 0.5)
    confidence[np.flatnonzero(evaluation.outcomes.rows["condition"] == 1)[-1]] = np.nan
    assert calibrations(with_confidence(evaluation, confidence), "m") == {}


def test_json_of_a_calibration_is_checked():
    found = calibration(made_up(), "plain", "clean")
    with pytest.raises(ValueError, match=r"bins\[0\]\.count must be an int, got 'x'"):
        Calibration.from_json(replace(found).to_json().replace('"count": 0', '"count": "x"', 1))
    with pytest.raises(ValueError, match="text must be a JSON object, got list"):
        Calibration.from_json("[]")
    with pytest.raises(ValueError, match="text must have the keys"):
        Calibration.from_json("{}")

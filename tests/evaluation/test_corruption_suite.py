"""Accuracy under corruptions: derived from models whose answers are known."""

import math

import numpy as np
import pytest
import torch

from art_domainrand.evaluation import CorruptionReport, Row, evaluate_corruptions
from art_domainrand.randomization import CORRUPTIONS, CorruptionSuite


def images_of_two_classes(n=20, size=8):
    """Half of the images are dark (class 0), half bright (class 1); all are grey."""
    x = np.random.default_rng(0).uniform(0, 0.2, (n, 1, size, size)).astype(np.float32).repeat(3, axis=1)
    x[n // 2 :] += 0.7
    return x, np.repeat([0, 1], n // 2)


def by_brightness(x):
    mean = x.mean((1, 2, 3))
    return np.stack((0.5 - mean, mean - 0.5), 1)


def report(errors, clean=0.1, model="m"):
    """A report of 1000 images with the errors of each corruption at severities 1, 2 ..."""
    rows = [Row.count(model, "clean", round(1000 * (1 - clean)), 1000)]
    for name, values in errors.items():
        rows += [Row.count(model, f"{name}/{s}", round(1000 * (1 - e)), 1000) for s, e in enumerate(values, 1)]
    return CorruptionReport(tuple(rows), {"seed": 0})


def test_all_95_cases_are_judged_and_a_model_of_brightness_fails_where_brightness_is_raised():
    x, y = images_of_two_classes()
    result = evaluate_corruptions(by_brightness, x, y)
    assert len(result.rows) == 96
    assert result.names == tuple(CORRUPTIONS)
    assert result.clean_error == 0
    # At 8 pixels severity 5 adds 0.3 to grey values; the dark images' mean is 0.1: all are still told apart ...
    assert result.row("brightness", 5).accuracy == 1
    # ... by this model, but not by one that draws the line at 0.35.
    suite = CorruptionSuite(["brightness", "contrast"])
    shifted = evaluate_corruptions(lambda z: by_brightness(z + 0.15), x, y, suite)
    assert shifted.row("brightness", 1).accuracy == 1
    assert shifted.row("brightness", 5).accuracy == 0.5
    assert shifted.row("contrast", 5).accuracy == 1


def test_an_estimator_and_its_predict_function_are_judged_alike(classifier, images, labels):
    suite = CorruptionSuite(["fog", "gaussian_noise"], [1, 5], seed=4)
    of_estimator = evaluate_corruptions(classifier, images, labels, suite, name="m")
    of_function = evaluate_corruptions(classifier.predict, images, labels, suite, name="m")
    assert of_estimator == of_function
    assert [row.cell for row in of_estimator.rows] == [
        "clean",
        "fog/1",
        "fog/5",
        "gaussian_noise/1",
        "gaussian_noise/5",
    ]
    assert of_estimator.metadata["seed"] == 4


def test_the_mean_corruption_error_is_that_of_hendrycks_and_dietterich():
    model = report({"fog": (0.2, 0.4), "snow": (0.1, 0.3), "spatter": (0.5, 0.7)})
    alexnet = report({"fog": (0.5, 0.7), "snow": (0.4, 0.4), "spatter": (0.6, 0.6)}, clean=0.3)
    assert model.errors() == pytest.approx({"fog": 0.3, "snow": 0.2, "spatter": 0.6})
    assert model.mean_error() == pytest.approx(0.25)  # spatter is one of the four extra
    assert model.mean_error(extra=True) == pytest.approx(1.1 / 3)
    assert model.errors(alexnet) == pytest.approx({"fog": 0.5, "snow": 0.5, "spatter": 1.0})
    assert model.mean_error(alexnet) == pytest.approx(0.5)
    assert model.mean_error(alexnet, extra=True) == pytest.approx(2 / 3)
    # Relative: (0.3 - 0.1) / (0.6 - 0.3) and (0.2 - 0.1) / (0.4 - 0.3).
    assert model.mean_error(alexnet, relative=True) == pytest.approx((2 / 3 + 1) / 2)


def test_a_baseline_without_errors_gives_infinity_or_nan():
    perfect = report({"fog": (0.0,), "snow": (0.0,)}, clean=0.0)
    errors = report({"fog": (0.5,), "snow": (0.0,)}).errors(perfect)
    assert math.isinf(errors["fog"])
    assert math.isnan(errors["snow"])


def test_a_report_survives_a_file(tmp_path):
    written = report({"fog": (0.2, 0.4)})
    written.save(tmp_path / "deep" / "report.json")
    assert CorruptionReport.load(tmp_path / "deep" / "report.json") == written


def test_bad_input_is_named(tmp_path):
    x, y = images_of_two_classes()
    with pytest.raises(ValueError, match="y must hold one class index for each of 20"):
        evaluate_corruptions(by_brightness, x, y[:3])
    with pytest.raises(ValueError, match="y must hold one class index for each of 20 > 0 images, got float64 of 20"):
        evaluate_corruptions(by_brightness, x, y + 0.5)
    with pytest.raises(ValueError, match=r"y must be a NumPy array with 1 axes, got shape \(20, 2\)"):
        evaluate_corruptions(by_brightness, x, np.eye(2)[y])
    with pytest.raises(ValueError, match="x must be a NumPy array with 4 axes, got Tensor"):
        evaluate_corruptions(by_brightness, torch.from_numpy(x), y)
    with pytest.raises(ValueError, match="y must be from 0 to 1, as many as scores, got 1 to 2"):
        evaluate_corruptions(by_brightness, x, y + 1)
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got pixels from"):
        evaluate_corruptions(by_brightness, x * 2, y)
    with pytest.raises(ValueError, match="got NaN for 20 of 20 images"):
        evaluate_corruptions(lambda z: by_brightness(z) * math.nan, x, y)
    with pytest.raises(ValueError, match="scores of shape"):
        evaluate_corruptions(lambda z: z.mean((1, 2, 3)), x, y)
    with pytest.raises(ValueError, match="'clean' first"):
        CorruptionReport((Row.count("m", "fog/1", 1, 2),))
    with pytest.raises(ValueError, match="name/severity"):
        CorruptionReport((Row.count("m", "clean", 1, 2), Row.count("m", "fog", 1, 2)))
    with pytest.raises(ValueError, match="a list"):
        CorruptionReport.from_json("[]")
    with pytest.raises(ValueError, match="must hold a common corruption"):
        report({"spatter": (0.5,)}).mean_error()
    with pytest.raises(KeyError, match="snow"):
        report({"snow": (0.5,)}).errors(report({"fog": (0.5,)}))


def test_what_is_no_model_and_what_is_no_suite_is_said():
    x, y = images_of_two_classes()
    with pytest.raises(TypeError, match=r"^model must be an ART estimator or a function .*, got 'resnet18'$"):
        evaluate_corruptions("resnet18", x, y)
    with pytest.raises(TypeError, match=r"^suite must be a CorruptionSuite, got 'fog'$"):
        evaluate_corruptions(by_brightness, x, y, "fog")

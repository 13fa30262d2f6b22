"""MinimumNorm finds the closest adversarial example: on linear models with the box that is known in closed form."""

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import MinimumNorm
from art_domainrand.attacks import Closest

from support.estimators import CLASSES, make_classifier

FEATURES = 12


def linear(seed=0, clip_values=(0.0, 1.0)):
    """Two classes, told apart by a hyperplane that cuts the box."""
    rng = np.random.default_rng(seed)
    model = nn.Linear(FEATURES, 2)
    w = torch.tensor(rng.normal(size=FEATURES), dtype=torch.float32)
    with torch.no_grad():
        model.weight.copy_(torch.stack([w, -w]) / 2)
        model.bias.copy_(torch.tensor([-0.5, 0.5]) * (w.sum() / 2))
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (FEATURES,), 2, clip_values=clip_values, device_type="cpu"
    )
    return classifier, w.numpy().astype(np.float64), float(w.sum() / 2)


def images(classifier, n=6, seed=1):
    x = np.random.default_rng(seed).random((n, FEATURES), dtype=np.float32)
    return x, classifier.predict(x).argmax(1)


def exact(x, w, bias, norm):
    """The least distance of each image to the other side inside [0, 1], by filling up what helps most."""
    found = []
    for image in x.astype(np.float64):
        needed, slope = w @ image - bias, -w * np.sign(w @ image - bias)
        room, needed = np.where(slope > 0, 1 - image, image), abs(needed)
        found.append(least(room, np.abs(slope), needed, norm))
    return np.array(found)


def least(room, slope, needed, norm):
    """The least norm of 0 <= d <= room with slope d >= needed."""
    if norm in (0, 1):  # the most gain for each entry, or for each unit of length
        order = np.argsort(-(slope * room if norm == 0 else slope))
        gain = (slope * room)[order].cumsum()
        k = int(np.searchsorted(gain, needed))
        if norm == 0:
            return k + 1.0
        before = gain[k - 1] if k else 0.0
        return room[order][:k].sum() + (needed - before) / slope[order][k]
    low, high = 0.0, 1e6  # otherwise d is clip(t slope^...), and its gain rises with t
    for _ in range(200):
        t = (low + high) / 2
        d = np.minimum(room, t if norm == np.inf else t * slope)
        low, high = (low, t) if slope @ d >= needed else (t, high)
    d = np.minimum(room, high if norm == np.inf else high * slope)
    return float(np.linalg.norm(d, norm))


@pytest.mark.parametrize("algorithm", ["auto", "fmn"])
@pytest.mark.parametrize("norm", [0, 1, 2, np.inf])
def test_it_finds_the_closest_point_of_a_linear_model_in_the_box(norm, algorithm):
    classifier, w, bias = linear()
    x, y = images(classifier)
    found = MinimumNorm(classifier, norm, 300, verbose=False, algorithm=algorithm, seed=0).find(x, y)
    best = exact(x, w, bias, norm)
    assert (classifier.predict(found.images).argmax(1) != y).all()
    assert ((found.images >= 0) & (found.images <= 1)).all()
    change = (found.images.astype(np.float64) - x.astype(np.float64)).reshape(len(x), -1)
    np.testing.assert_allclose(found.distances, np.linalg.norm(change, norm, axis=1), rtol=1e-9)
    assert (found.distances >= best * (1 - 1e-5)).all()
    slack = 1.001 if algorithm == "auto" else 1.05
    assert (found.distances <= best * slack).all(), found.distances / best


@pytest.mark.parametrize("norm", [0, 1, 2, np.inf])
def test_twenty_points_come_near_it_and_more_come_nearer(norm):
    classifier, w, bias = linear(seed=3)
    x, y = images(classifier, n=5, seed=4)
    best = exact(x, w, bias, norm)
    shares = [
        MinimumNorm(classifier, norm, steps, verbose=False, seed=0).find(x, y).distances / best for steps in (20, 200)
    ]
    assert (shares[0] <= 1.03).all(), shares[0]
    assert (shares[1] <= 1.002).all(), shares[1]


def test_passes_are_counted_and_the_curve_counts_distances():
    classifier = make_classifier()
    x = np.random.default_rng(0).random((5, 1, 8, 8), dtype=np.float32)
    found = MinimumNorm(classifier, 2, 20, verbose=False, seed=0, algorithm="ddn").find(x)
    assert found.backwards <= 20 * len(x)
    assert found.forwards >= found.backwards
    radii = np.array([0, *np.sort(found.distances), 100.0])
    np.testing.assert_allclose(found.accuracy(radii), [(found.distances > r).mean() for r in radii])
    again = Closest.from_json(found.to_json())
    np.testing.assert_array_equal(again.distances, found.distances)
    assert (again.norm, again.forwards, again.backwards) == (2, found.forwards, found.backwards)


@pytest.mark.parametrize("eps", ["a", None, [0.1, "b"], [[0.1], [0.1, 0.2]], {"eps": 0.1}])
def test_a_radius_that_is_no_number_is_named(eps):
    found = Closest(None, np.array([0.5, 1.0]), 2.0, 20, 20)
    with pytest.raises(ValueError, match=r"^eps must be"):
        found.accuracy(eps)


def test_what_was_found_in_a_line():
    found = Closest(np.zeros((5, 3, 32, 32)), np.array([0, 0.25, 0.125, np.inf, 0.5]), np.inf, 500, 250)
    said = repr(found)
    assert "\n" not in said
    assert len(said) < 200
    for part in ("5 images", "L-inf", "distance 0.25", "1 misclassified", "1 without", "150 evaluations each"):
        assert part in said
    assert "in L0" in repr(Closest(None, np.array([3.0]), 0.0, 1, 1))
    assert "median distance inf" in repr(Closest(None, np.array([np.inf, np.inf, 3.0]), 2.0, 1, 1))
    assert "0 images" in repr(Closest(None, np.empty(0), 1.0, 0, 0))


def test_what_is_misclassified_or_cannot_be_moved_comes_back_as_it_was():
    classifier = make_classifier()
    x = np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)
    y = classifier.predict(x).argmax(1)
    wrong = (y + 1) % CLASSES
    found = MinimumNorm(classifier, 2, 5, verbose=False).find(x, np.where(np.arange(4) < 2, wrong, y), np.zeros_like(x))
    np.testing.assert_array_equal(found.images, x)
    np.testing.assert_array_equal(found.distances, [0, 0, np.inf, np.inf])

"""Curves: monotone, never above the attack run alone, inside their balls, and met by closed forms."""

import numpy as np
import pytest

from art_domainrand import MinimumNorm
from art_domainrand.evaluation.conditions import Attacked, Custom, Then
from art_domainrand.evaluation.running.perform import perform

from support.estimators import make_classifier
from support.performing import NAMES, block_of, inner_images, linear

GRID = np.linspace(0.02, 0.2, 10)
SHORT = {"max_iter": 8}
ATTACKS = [
    ("fgsm", "linf", {}),
    ("pgd", "linf", SHORT),
    ("pgd", "linf", {"max_iter": 8, "early_stop": False, "eps_step": 0.01}),
    ("pgd", "l2", SHORT),
    ("pgd", "l1", SHORT),
    ("autopgd", "linf", SHORT),
    ("minimum", "l2", {"max_iter": 30}),
    ("minimum", "l0", {"max_iter": 30}),
    ("art:ProjectedGradientDescent", "linf", {"max_iter": 4}),
    ("art:DeepFool", "l2", {"max_iter": 10}),
]
SCALE = {"linf": 1, "l2": 12, "l1": 60}


def radii(norm):
    return np.arange(1, 20, 2) if norm == "l0" else GRID * SCALE[norm]


def data(n=18):
    x = np.random.default_rng(3).random((n, 1, 8, 8), dtype=np.float32)
    y = make_classifier().predict(x).argmax(1)
    y[::6] = (y[::6] + 1) % 4
    return x, y


def rights(family, x, y, model=None):
    rows = perform(make_classifier() if model is None else model, family, block_of(x, y), classes=NAMES).rows
    return rows.reshape(len(family), len(x))


@pytest.mark.parametrize(("attack", "norm", "options"), ATTACKS)
def test_a_curve_never_rises_and_is_never_above_the_attack_alone(attack, norm, options):
    x, y = data()
    family = [Attacked(attack, float(eps), norm, options) for eps in radii(norm)]
    rows = rights(family, x, y)
    assert (np.diff(rows["right"].astype(int), axis=0) <= 0).all()
    assert 0 < rows["right"].mean() < rows["right"][0].mean()
    for place, condition in list(enumerate(family))[::3]:
        assert (rows[place][norm] <= condition.eps * (1 + 1e-4)).all()
        # A weak attack may do worse with more room; then the curve has what it did with less.
        alone = rights([condition], x, y)[0]["right"]
        assert (rows[place]["right"] <= alone).mean() >= (1 if place == len(family) - 1 else 0.9)


@pytest.mark.parametrize(("attack", "norm", "options"), ATTACKS)
def test_the_order_of_the_radii_does_not_matter(attack, norm, options):
    x, y = data(8)
    family = [Attacked(attack, float(eps), norm, options) for eps in [0.0, *radii(norm)[::3]]]
    rows, turned = rights(family, x, y), rights(family[::-1], x, y)[::-1]
    for name in ("right", "margin", "linf"):
        np.testing.assert_array_equal(rows[name], turned[name])
    clean = make_classifier().predict(x).argmax(1) == y
    assert (rows["right"][0] == clean).all()
    assert not rows["linf"][0].any()


@pytest.mark.parametrize(
    ("attack", "norm", "dual"), [("pgd", "linf", 1), ("pgd", "l2", 2), ("autopgd", "l2", 2), ("strongest", "linf", 1)]
)
def test_every_point_of_a_linear_models_curve_is_the_closed_form(attack, norm, dual):
    model, weights = linear()
    x = inner_images(30)
    scores = model.predict(x)
    y = scores.argmax(1)
    radius = np.abs(scores[:, 0] - scores[:, 1]) / np.linalg.norm(weights[0] - weights[1], dual)
    grid = np.quantile(radius, np.linspace(0.05, 0.95, 10))
    options = {"budget": "quick"} if attack == "strongest" else {"max_iter": 10}
    rows = rights([Attacked(attack, float(eps), norm, options) for eps in grid], x, y, model)
    clear = np.abs(radius - grid[:, None]) > 2e-3 * radius
    assert clear.mean() > 0.9
    assert (rows["right"] == (radius > grid[:, None]))[clear].all()


def test_a_curve_inside_another_condition_is_one_on_its_images():
    x, y = data(8)
    attacks = [Attacked("pgd", float(eps), options=SHORT) for eps in GRID[::3]]
    inside = rights([Then(Custom(lambda e, x, y: x / 2), attack) for attack in attacks], x, y)
    assert (np.diff(inside["right"].astype(int), axis=0) <= 0).all()
    assert (inside["right"].sum(1) <= (make_classifier().predict(x / 2).argmax(1) == y).sum()).all()


def test_ten_radii_take_hardly_more_passes_than_the_largest_alone():
    """Where the attack does not stop early, so that every sample pays all its steps once."""
    x, y = data()
    family = [Attacked("pgd", float(eps), options={"max_iter": 40, "early_stop": False}) for eps in GRID / 2]

    def passes(some):
        rows = rights(some, x, y)
        return (rows["forwards"] + rows["backwards"]).sum()

    assert passes(family) < 1.6 * passes(family[-1:])


def test_the_curve_of_the_closest_examples_is_one_run():
    x, y = data(8)
    attack = MinimumNorm(make_classifier(), 2, 40, verbose=False, batch_size=len(x))
    closest = attack.find(x, y)
    radii = [float(r) for r in np.quantile(closest.distances, [0.3, 0.6, 0.9]) + 1e-4]
    family = [Attacked("minimum", radius, "l2", {"max_iter": 40}) for radius in radii]
    rows = rights(family, x, y)
    np.testing.assert_allclose(rows["right"].mean(1), closest.accuracy(radii))
    passes = rows["backwards"].sum() / (closest.distances > 0).sum()
    assert passes == pytest.approx(40, abs=1)

"""How step sizes change: by schedule, and by the rule of Auto-PGD on losses made up for it."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand import PGD
from art_domainrand.attacks.auto.autopgd import Halving

from support.attacks import Linear, RowWise, distance, predicted, seen_by, some_images
from support.estimators import wrap


def iterates(classifier, x, y, **options):
    """Every point of PGD from x, the last included."""
    attack = PGD(classifier, num_random_init=0, verbose=False, keep_best=False, **options)
    with seen_by(classifier.model) as seen:
        last = attack.generate(x, y)
    return [*(points.numpy() for points in seen), last]


def sizes(points, norm=np.inf):
    return [float(distance(b, a, norm).max()) for a, b in itertools.pairwise(points)]


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_cosine_sizes_on_a_linear_model(norm):
    classifier = wrap(Linear(classes=2), nb_classes=2, clip_values=(-99.0, 99.0))
    x = some_images(2)
    options = {"norm": norm, "eps": 50.0, "eps_step": 0.5, "max_iter": 10}
    points = iterates(classifier, x, np.array([0, 1]), step_schedule="cosine", loss="margin", **options)
    assert np.allclose(sizes(points, norm), [0.25 * (1 + math.cos(math.pi * i / 10)) for i in range(10)], atol=1e-5)
    constant = iterates(classifier, x, np.array([0, 1]), loss="margin", **options)
    assert np.allclose(sizes(constant, norm), 0.5, atol=1e-5)


class Valley(nn.Module):
    """One feature; the attack on class 0 is drawn to 0.5 from both sides."""

    def forward(self, x):
        away = (x.flatten(1) - 0.5).abs()
        return torch.cat([away, torch.zeros_like(away)], dim=1)


def test_halving_ends_a_zigzag():
    classifier = wrap(Valley(), nb_classes=2, input_shape=(1, 1, 1))
    x = np.full((1, 1, 1, 1), 0.46, dtype=np.float32)
    options = {"eps": 0.5, "eps_step": 0.1, "max_iter": 100, "loss": "margin"}
    assert np.allclose(sizes(iterates(classifier, x, np.zeros(1, int), **options)), 0.1, atol=1e-6)
    halving = sizes(iterates(classifier, x, np.zeros(1, int), step_schedule="halving", **options))
    # Checkpoints after 22, 41, 57, 70, 80, 87, 93 and 99 steps; every phase zigzags, so every one halves.
    lengths = (22, 19, 16, 13, 10, 7, 6, 6, 1)
    expected = np.concatenate([np.full(n, 0.1 / 2**k) for k, n in enumerate(lengths)])
    inside = np.ones(100, dtype=bool)
    inside[np.cumsum(lengths)[:-1] - 1] = False  # there the next point seen starts from the best one
    assert np.allclose(np.array(halving)[inside[:100]], expected[inside], atol=1e-6)


def replayed(values, max_iter=100):
    """The factors of a single sample after each value of its loss."""
    rule = Halving.over(torch.zeros(1, 1), max_iter)
    factors, points = [], []
    for i, value in enumerate(values):
        at = torch.full((1, 1), float(i))
        point, gradient = rule.observe(i, at, at + 0.5, torch.tensor([float(value)]))
        assert torch.equal(gradient, point + 0.5), "point and gradient go back together"
        factors.append(float(rule.factor))
        points.append(float(point))
    return factors, points


def test_three_rises_in_four_are_enough_only_if_there_are_more():
    """The first phase of 100 steps is 22: 17 rises are more than 75%, 16 are not."""
    for rises, factor in ((17, 1.0), (16, 0.5)):
        values = [0.0, *np.arange(1, rises + 1.0), *np.arange(rises - 1.0, rises - 23, -1)][:23]
        assert replayed(values)[0][-1] == factor
    values = [0.0, *np.arange(1.0, 17), *np.arange(15.0, 9, -1)]
    _, points = replayed(values)
    assert points[-1] == 16, "back to the best point"


def test_a_phase_without_a_new_best_halves_unless_the_last_one_did():
    first = np.arange(23.0)
    climb = np.arange(-40.0, -21)  # rises at every step but the first, and never gets to the best value
    factors, points = replayed([*first, *climb, *climb[:16]])
    assert factors[22] == 1.0
    assert factors[40] == 1.0
    assert factors[41] == 0.5
    assert points[41] == 22
    assert factors[57] == 0.5, "condition 2 does not hold twice in a row"
    assert points[57] == 57


def test_nan_losses_never_become_the_best():
    factors, points = replayed([0.0, *[np.nan] * 22])
    assert factors[-1] == 0.5
    assert points[-1] == 0


def test_momentum_is_that_of_the_plain_attack():
    classifier, x = wrap(RowWise()), some_images(6)
    y = predicted(classifier, x)
    options = {"eps": 0.3, "eps_step": 0.02, "max_iter": 6, "decay": 0.9, "verbose": False}
    plain = PGD(classifier, **options).generate(x, y)
    with seen_by(classifier.model) as seen:
        PGD(classifier, loss="cross_entropy", **options).generate(x, y)
    step = PGD(classifier, **options | {"max_iter": 5}).generate(x, y)
    assert np.allclose(torch.cat(seen[-1:]).numpy(), step, atol=1e-6)
    searched = PGD(classifier, loss="cross_entropy", **options).generate(x, y)
    assert np.allclose(searched, plain, atol=1e-6)


@pytest.mark.parametrize("norm", [np.inf, 2, 1, 1.5])
def test_cross_entropy_by_name_is_the_estimators_own(norm):
    """The search and ART's loop are two programs: with the same loss they return the same images."""
    classifier, x = wrap(RowWise()), some_images(10)
    y = predicted(classifier, x)
    eps = {np.inf: 0.1, 2: 0.5, 1: 3.0, 1.5: 1.0}[norm]
    options = {"norm": norm, "eps": eps, "eps_step": eps / 4, "max_iter": 7, "verbose": False}
    assert np.allclose(
        PGD(classifier, loss="cross_entropy", **options).generate(x, y),
        PGD(classifier, **options).generate(x, y),
        atol=2e-5,
    )
    soft = torch.softmax(torch.randn(10, 4), 1).numpy()
    assert np.allclose(
        PGD(classifier, loss="cross_entropy", **options).generate(x, soft),
        PGD(classifier, **options).generate(x, soft),
        atol=2e-5,
    )

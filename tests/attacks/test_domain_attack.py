"""Attacks on the domain against truths that can be worked out: where the worst draw of a simple model lies."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoAttack
from art.estimators.classification import BlackBoxClassifier, EnsembleClassifier, PyTorchClassifier
from torch import nn

from art_domainrand import CompositeAttack, DomainAttack, DomainRandomization, grid_attack, worst_of
from art_domainrand.core.losses import margin
from art_domainrand.data import digits
from art_domainrand.randomization import (
    Brightness,
    Choice,
    Contrast,
    Gamma,
    GaussianNoise,
    Invert,
    Normal,
    OneOf,
    Pipeline,
    Posterize,
    Rotation,
    Scale,
    Shear,
    Sometimes,
    Translation,
)
from art_domainrand.randomization.core.sampling import CELLS

from support.estimators import CLASSES, SHAPE, make_classifier

EDGE = 0.5 / CELLS
MANY = Pipeline(
    [
        Rotation((-30, 30)),
        Scale((0.7, 1.3)),
        Shear((-20, 20), (-20, 20)),
        Translation((-0.2, 0.2), (-0.2, 0.2)),
        Contrast((0.5, 1.5)),
        Brightness((-0.2, 0.2)),
        Gamma((0.6, 1.6)),
        Sometimes(GaussianNoise((0.0, 0.1))),
    ]
)


class Weighted(nn.Module):
    """Class 0 scores a weighted sum of the pixels, class 1 a constant."""

    def __init__(self, weights: torch.Tensor, constant: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.constant = constant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        own = (x * self.weights).flatten(1).sum(1)
        return torch.stack([own, torch.full_like(own, self.constant)], dim=1)


def weighted(weights: torch.Tensor, constant: float, **options: object) -> PyTorchClassifier:
    known = {"input_shape": tuple(weights.shape), "nb_classes": 2, "clip_values": (0, 1), "device_type": "cpu"}
    return PyTorchClassifier(Weighted(weights, constant), nn.CrossEntropyLoss(), **(known | options))


def grey(n: int = 4) -> np.ndarray:
    """Images whose brightness may change by 0.3 without clipping."""
    return (0.4 + 0.2 * np.random.default_rng(0).random((n, *SHAPE))).astype(np.float32)


@pytest.mark.parametrize(("label", "end"), [(0, EDGE), (1, 1 - EDGE)])
def test_the_worst_brightness_of_a_linear_model_is_an_end_of_the_range(label, end):
    found = DomainAttack(weighted(torch.ones(SHAPE), 32.0), Brightness((-0.2, 0.2)), verbose=False, seed=0).find(
        grey(), np.full(4, label)
    )
    np.testing.assert_array_equal(found.draw.u.numpy(), np.float32(end))
    np.testing.assert_allclose(found.values()["0.shift"], -0.2 if label == 0 else 0.2, atol=1e-6)
    clean = grey().reshape(4, -1).sum(1) - 32
    gain = 0.2 * 64
    np.testing.assert_allclose(found.margins, gain - clean if label == 0 else gain + clean, atol=1e-3)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_fraction_is_how_far_into_the_range_it_goes(fraction):
    attack = DomainAttack(weighted(torch.ones(SHAPE), 32.0), Brightness(), fraction=fraction, verbose=False, seed=0)
    found = attack.find(grey(), np.zeros(4, dtype=int))
    np.testing.assert_allclose(found.draw.u.numpy(), 0.5 - fraction / 2, atol=1e-7)
    everywhere = DomainAttack(make_classifier(), MANY, fraction=fraction, evaluations=40, verbose=False, seed=0)
    u = everywhere.find(grey()).draw.u
    assert (u - 0.5).abs().max() <= fraction / 2 + 1e-7


def test_a_translation_carries_the_pixel_that_is_read_downhill():
    weights = torch.zeros(1, 8, 8)
    weights[0, 4, 4] = 10
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32) / 8, (3, 1, 8, 8)).copy()
    attack = DomainAttack(weighted(weights, 0.0), Translation((-0.25, 0.25), (0.0, 0.1)), verbose=False, seed=0)
    found = attack.find(ramp, np.zeros(3, dtype=int))
    # Two pixels to the right: what was in column 2 is read.
    np.testing.assert_allclose(found.values()["0.x"], 0.25, atol=1e-6)
    np.testing.assert_allclose(found.margins, -10 * 2 / 8, atol=1e-4)


def test_unbounded_distributions_stay_finite():
    found = DomainAttack(weighted(torch.ones(SHAPE), 32.0), Brightness(Normal(0, 0.02)), verbose=False, seed=0).find(
        grey(), np.zeros(4, dtype=int)
    )
    assert np.isfinite(found.images).all()
    assert (found.values()["0.shift"] < -0.08).all()  # more than four standard deviations


@pytest.mark.parametrize(
    "members",
    [
        OneOf([*(Brightness((-0.01 * k, 0.01 * k)) for k in range(1, 12)), Invert((1.0, 1.0))]),
        Brightness(Choice((0.0,) * 11 + (-0.5,))),
        Sometimes(Sometimes(Brightness((-0.5, -0.5)), 0.3), 0.3),
        Posterize(Choice((8.0,) * 11 + (1.0,))),
    ],
    ids=["one of", "choice", "gates", "not differentiable"],
)
def test_trials_find_the_one_bad_choice(members):
    # All pixels are 0.9, and right above 0.55 on average: only the bad choice gets there, and no slope leads to it.
    x = np.full((6, *SHAPE), 0.9, dtype=np.float32)
    classifier = weighted(torch.ones(SHAPE), 0.55 * 64)
    pipeline = Pipeline([members, Brightness((-0.01, 0.01))])
    found = DomainAttack(classifier, pipeline, evaluations=300, k=1, verbose=False, seed=0).find(x, [0] * 6)
    assert found.fooled.all()
    if isinstance(members, OneOf):
        assert all("Invert" in found.describe(i).values() for i in range(6))


def test_the_seed_of_a_noise_is_searched_too():
    weights = torch.zeros(SHAPE)
    weights[0, 3, 3] = 1
    attack = DomainAttack(weighted(weights, 0.35), GaussianNoise((0.1, 0.1)), k=1, verbose=False, seed=0)
    found = attack.find(np.full((5, *SHAPE), 0.5, dtype=np.float32), np.zeros(5, dtype=int))
    assert found.fooled.all()  # one pixel must fall by 1.5 standard deviations: one seed in fifteen does that


def test_worst_of_equals_brute_force():
    classifier, x = make_classifier(), grey(5)
    y = classifier.predict(x).argmax(1)
    points = torch.rand(7, len(MANY.parameters), generator=torch.Generator().manual_seed(3))
    deterministic = Pipeline(MANY.transforms[:-1])
    points = points[:, : len(deterministic.parameters)]
    found = worst_of(classifier, x, y, deterministic, 7, points=points)
    view = DomainRandomization(deterministic, seed=0)
    draws = [type(found.draw)(point.repeat(5, 1), torch.zeros(5, dtype=torch.int64)) for point in points]
    with torch.no_grad():
        seen = [classifier.model(view.randomize(torch.from_numpy(x), draw)) for draw in draws]
    margins = torch.stack([margin(scores, torch.from_numpy(y)) for scores in seen])
    np.testing.assert_allclose(found.margins, margins.amax(0).numpy(), rtol=1e-5)
    assert torch.equal(found.draw.u, points[margins.argmax(0)])
    assert (found.forwards, found.backwards) == (5 * 7, 0)


def test_more_draws_are_never_better_for_the_model():
    x = grey(6)
    margins = [worst_of(make_classifier(), x, None, MANY, k, seed=0).margins for k in (1, 5, 25)]
    assert (margins[0] <= margins[1]).all()
    assert (margins[1] <= margins[2]).all()
    assert (margins[0] < margins[2]).any()


def test_the_grid_is_that_of_the_paper():
    attack = grid_attack(make_classifier())
    points = torch.as_tensor(attack.points)
    assert points.shape == (775, 3)
    assert attack.evaluations == 775
    angle, x, y = (
        d.icdf(column).unique() for d, column in zip(attack.pipeline.parameters.values(), points.T, strict=True)
    )
    torch.testing.assert_close(angle, torch.arange(-30.0, 31.0, 2.0))
    torch.testing.assert_close(32 * x, torch.tensor([-3, -1.5, 0, 1.5, 3]))
    torch.testing.assert_close(32 * y, torch.tensor([-3, -1.5, 0, 1.5, 3]))


def test_the_grid_attack_looks_at_every_point_and_keeps_the_worst():
    classifier, x = make_classifier(), grey(3)
    y = classifier.predict(x).argmax(1)
    found = grid_attack(classifier, angles=5, shifts=3).find(x, y)
    assert (found.forwards, found.backwards) == (3 * 45, 0)
    view, worst = found.randomization, np.full(3, -np.inf)
    for angle in (-30, -15, 0, 15, 30):
        for right in (-3, 0, 3):
            for down in (-3, 0, 3):
                u = torch.tensor([[angle / 60 + 0.5, right / 6 + 0.5, down / 6 + 0.5]]).repeat(3, 1)
                draw = type(found.draw)(u, torch.zeros(3, dtype=torch.int64))
                scores = torch.from_numpy(classifier.predict(view.randomize(torch.from_numpy(x), draw).numpy()))
                worst = np.maximum(worst, margin(scores, torch.from_numpy(y)).numpy())
    np.testing.assert_allclose(found.margins, worst, atol=1e-5)


@pytest.mark.parametrize("pipeline", [MANY, Brightness(), Sometimes(Posterize(Choice((2.0, 4.0))))])
@pytest.mark.parametrize("evaluations", [1, 7, 40])
def test_evaluations_are_spent_exactly(pipeline, evaluations):
    attack = DomainAttack(make_classifier(), pipeline, evaluations=evaluations, verbose=False, seed=0)
    assert attack.find(grey()).evaluations == evaluations


def test_targeted_attacks_climb_towards_the_target():
    classifier, x = make_classifier(), grey(6)
    target = (classifier.predict(x).argmax(1) + 1) % CLASSES
    found = DomainAttack(classifier, MANY, targeted=True, evaluations=60, verbose=False, seed=0).find(x, target)
    scores = torch.from_numpy(classifier.predict(found.images))
    np.testing.assert_allclose(found.margins, -margin(scores, torch.from_numpy(target)).numpy(), rtol=1e-4, atol=1e-4)
    assert (found.fooled == (scores.argmax(1).numpy() == target)).all()
    random = worst_of(classifier, x, target, MANY, 60, targeted=True, seed=0)
    assert found.margins.mean() > random.margins.mean()


@pytest.mark.parametrize("loss", ["cross_entropy", "dlr", margin, None])
def test_every_loss_climbs(loss):
    y = make_classifier().predict(grey()).argmax(1)
    found = DomainAttack(make_classifier(), MANY, loss=loss, evaluations=60, verbose=False, seed=0).find(grey(), y)
    assert found.margins.mean() > worst_of(make_classifier(), grey(), y, MANY, 60, seed=0).margins.mean()


def test_early_stop_saves_evaluations_and_loses_no_success():
    x = grey(8)
    y = make_classifier().predict(x).argmax(1)
    full = DomainAttack(make_classifier(), MANY, verbose=False, seed=0).find(x, y)
    quick = DomainAttack(make_classifier(), MANY, early_stop=True, verbose=False, seed=0).find(x, y)
    assert full.fooled.any()
    assert (quick.fooled == full.fooled).all()
    assert quick.evaluations < full.evaluations


def test_estimators_that_are_not_pytorch_throughout():
    x = grey(4)
    y = make_classifier().predict(x).argmax(1)
    options = {"evaluations": 60, "verbose": False, "seed": 0}
    plain = DomainAttack(make_classifier(), MANY, **options).find(x, y)
    ensemble = EnsembleClassifier([make_classifier()], clip_values=(0, 1), channels_first=True)
    np.testing.assert_allclose(DomainAttack(ensemble, MANY, **options).find(x, y).margins, plain.margins, rtol=0.05)
    box = BlackBoxClassifier(make_classifier().predict, SHAPE, CLASSES, clip_values=(0, 1))
    tried = DomainAttack(box, MANY, **options).find(x, y)
    assert (tried.forwards, tried.backwards) == (4 * 60, 0)
    assert tried.margins.mean() > worst_of(make_classifier(), x, y, MANY, 60, seed=0).margins.mean()


def test_luck_with_a_random_estimator_is_no_success():
    class Coin(nn.Module):
        """Right in nine of ten cases, whatever the image."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            flip = 1 - 2 * (torch.rand(len(x)) < 0.1).float() + 0 * x.flatten(1).sum(1)
            return torch.stack([flip, -flip], dim=1)

    coin = PyTorchClassifier(Coin(), nn.CrossEntropyLoss(), SHAPE, 2, clip_values=(0, 1), device_type="cpu")
    found = DomainAttack(coin, Brightness(), evaluations=40, verbose=False, seed=0).find(grey(20), np.zeros(20, int))
    assert not found.fooled.any()


def test_arts_autoattack_takes_it():
    x = grey(6)
    y = make_classifier().predict(x).argmax(1)
    attack = DomainAttack(make_classifier(), MANY, targeted=True, verbose=False, seed=0)
    adversarial = AutoAttack(make_classifier(), eps=1.0, attacks=[attack]).generate(x, y)
    assert not attack.targeted
    again = DomainAttack(make_classifier(), MANY, verbose=False, seed=0).find(x, y)
    assert again.fooled.any()
    assert ((make_classifier().predict(adversarial).argmax(1) != y) == again.fooled).all()


@pytest.fixture(scope="module")
def reader() -> tuple[PyTorchClassifier, np.ndarray, np.ndarray]:
    """A small network that reads digits, and 60 of those it reads rightly."""
    train, test = digits(size=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 8, 5, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
        for _ in range(8):
            for rows in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
    options = {"input_shape": (1, 16, 16), "nb_classes": 10, "clip_values": (0, 1), "device_type": "cpu"}
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), **options)
    right = (classifier.predict(test.x).argmax(1) == test.y).nonzero()[0][:60]
    assert len(right) == 60
    return classifier, test.x[right], test.y[right]


TEN = Pipeline(
    [
        Rotation((-10, 10)),
        Scale((0.9, 1.1)),
        Shear((-7, 7), (-7, 7)),
        Translation((-0.05, 0.05), (-0.05, 0.05)),
        OneOf([Contrast((0.8, 1.2)), Gamma((0.8, 1.2))]),
        Brightness((-0.05, 0.05)),
        Sometimes(GaussianNoise((0.0, 0.05))),
    ]
)


@pytest.mark.parametrize("evaluations", [20, 60])
def test_it_beats_as_many_random_draws(reader, evaluations):
    classifier, x, y = reader
    assert len(TEN.parameters) >= 10
    random = worst_of(classifier, x, y, TEN, evaluations, seed=0)
    found = DomainAttack(classifier, TEN, evaluations=evaluations, verbose=False, seed=0).find(x, y)
    assert found.evaluations == random.evaluations == evaluations
    assert found.fooled.mean() > random.fooled.mean() + 0.1
    assert found.margins.mean() > random.margins.mean() + 1


def test_domain_and_pixels_together_are_stronger_than_either(reader):
    classifier, x, y = reader
    options = {"evaluations": 20, "max_iter": 20, "fraction": 0.5, "verbose": False, "seed": 0, "batch_size": 60}
    joint = CompositeAttack(classifier, TEN, eps=0.02, **options).find(x, y)
    domain = CompositeAttack(classifier, TEN, eps=0.0, **options).find(x, y)
    pixels = CompositeAttack(classifier, Brightness((0.0, 0.0)), eps=0.02, **options).find(x, y)
    assert joint.fooled.mean() > max(domain.fooled.mean(), pixels.fooled.mean()) + 0.05
    assert joint.margins.mean() > max(domain.margins.mean(), pixels.margins.mean()) + 0.5


def test_points_that_would_not_all_be_tried_are_refused(images):
    points = torch.rand(30, len(MANY.parameters), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="evaluations must be >= 30, so that every one of the points is tried, got 20"):
        DomainAttack(make_classifier(), MANY, points=points, evaluations=20)
    with pytest.raises(ValueError, match="evaluations must be >= 775"):
        grid_attack(make_classifier(), evaluations=25)

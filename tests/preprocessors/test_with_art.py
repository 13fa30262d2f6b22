"""DomainRandomization inside ART's PyTorchClassifier, alone and chained with ART's own preprocessors."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.defences.preprocessor import SpatialSmoothingPyTorch
from art.estimators.classification import PyTorchClassifier
from art.estimators.classification.pytorch import PyTorchClassifier as Base
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch

from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization import Brightness, Contrast, GaussianNoise, Rotation

X = np.random.default_rng(0).random((10, 1, 12, 12), dtype=np.float32)
Y = np.eye(3, dtype=np.float32)[np.arange(10) % 3]


def randomization(**kwargs):
    return DomainRandomization(
        [Rotation(), Contrast(), GaussianNoise(0.02)], seed=0, **{"apply_predict": True} | kwargs
    )


def classifier(defences, **kwargs):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(400, 3))
    return PyTorchClassifier(
        model,
        torch.nn.CrossEntropyLoss(),
        (1, 12, 12),
        3,
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        clip_values=(0, 1),
        preprocessing_defences=defences,
        device_type="cpu",
        **kwargs,
    )


CHAINS = {
    "alone": lambda: [randomization()],
    "first": lambda: [randomization(), SpatialSmoothingPyTorch(window_size=3, channels_first=True)],
    "last": lambda: [SpatialSmoothingPyTorch(window_size=3, channels_first=True), randomization()],
    "middle of three": lambda: [
        SpatialSmoothingPyTorch(window_size=3, channels_first=True),
        randomization(),
        StandardisationMeanStdPyTorch(mean=0.5, std=0.2),
    ],
    "twice": lambda: [randomization(), randomization(apply_fit=False)],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_fit_predict_and_gradients_in_any_order_and_length(chain):
    estimator = classifier(CHAINS[chain]())
    estimator.fit(X, Y, batch_size=5, nb_epochs=1, verbose=False)
    assert np.isfinite(estimator.predict(X)).all()
    assert estimator.loss_gradient(X, Y).shape == X.shape
    assert np.abs(estimator.loss_gradient(X, Y)).sum() > 0
    assert estimator.class_gradient(X).shape == (10, 3, 1, 12, 12)
    adversarial = FastGradientMethod(estimator, eps=0.1).generate(X, Y)
    assert np.abs(adversarial - X).max() <= 0.1 + 1e-6


def test_predictions_are_the_models_on_the_randomized_images():
    estimator = classifier([randomization()])
    expected = classifier(None).predict(randomization()(X)[0])
    np.testing.assert_allclose(estimator.predict(X), expected, atol=1e-5)
    assert not np.allclose(estimator.predict(X), expected, atol=1e-5), "the next call draws afresh"


@pytest.mark.parametrize("size", [1, 3, 7])
def test_the_nth_image_is_predicted_alike_in_any_batches(size):
    whole, estimator = classifier([randomization()]).predict(X), classifier([randomization()])
    parts = [estimator.predict(X[first : first + size]) for first in range(0, len(X), size)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_flags_say_when_it_is_applied():
    plain = classifier(None).predict(X)
    np.testing.assert_allclose(classifier([randomization(apply_predict=False)]).predict(X), plain)
    assert not np.allclose(classifier([randomization()]).predict(X), plain)


def test_the_loss_gradient_is_that_of_one_draw():
    defence = randomization(clip=None)
    estimator = classifier([defence])
    x = (0.3 + 0.4 * X[:2]).astype(np.float32)
    direction = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    with defence.replay():
        gradient = estimator.loss_gradient(x, Y[:2])
        steps = [
            estimator.compute_loss(x + sign * 1e-2 * direction, Y[:2], reduction="none").mean() for sign in (1, -1)
        ]
    scale = float(np.abs(gradient).mean())
    slope = (steps[0] - steps[1]) / 2e-2
    assert slope == pytest.approx(float((gradient * direction).sum()), rel=0.05, abs=scale)


def test_the_mean_image_gradient_maps_back_through_the_defence():
    """A gain of 0.5 in front of the model halves the gradient at the image."""
    half = DomainRandomization(Contrast(0.5, pivot=0.0), apply_predict=True)
    inner = classifier(None).loss_gradient(0.5 * X, Y)
    np.testing.assert_allclose(classifier([half]).loss_gradient(X, Y), 0.5 * inner, atol=1e-6)


def test_an_attack_inside_replay_sees_one_fixed_classifier():
    defence = randomization()
    estimator = classifier([defence])
    attack = ProjectedGradientDescent(estimator, eps=0.1, eps_step=0.02, max_iter=5, batch_size=10, verbose=False)
    with defence.replay():
        runs = [attack.generate(X, Y) for _ in range(2)]
    np.testing.assert_array_equal(*runs)


def test_clone_for_refitting_keeps_working():
    estimator = classifier([randomization()])
    clone = estimator.clone_for_refitting()
    assert isinstance(clone, Base)
    clone.fit(X, Y, batch_size=5, nb_epochs=1, verbose=False)
    assert not np.allclose(clone.predict(X), clone.predict(X)), "still random"


def test_per_epoch_randomization_by_fitting_one_epoch_at_a_time():
    seen = []
    defence = randomization()
    inner = defence.forward
    defence.forward = lambda x, y=None: seen.append(inner(x, y)) or seen[-1]
    estimator = classifier([defence])
    for _ in range(2):
        estimator.fit(X, Y, batch_size=10, nb_epochs=1, verbose=False)
    assert not torch.equal(seen[0][0], seen[1][0])


def test_brightness_beyond_white_still_lets_the_attack_see_a_gradient():
    bright = DomainRandomization(Brightness(0.9), apply_predict=True)
    assert np.abs(classifier([bright]).loss_gradient(X, Y)).min() > 0

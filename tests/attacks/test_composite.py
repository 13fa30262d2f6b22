"""Pixels and domain together: whose ball the budget is, closed forms on a linear model, and the two halves alone."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoAttack
from art.estimators.classification import PyTorchClassifier

from art_domainrand import PGD, CompositeAttack, DomainAttack
from art_domainrand.randomization import Brightness, Contrast, GaussianNoise, Pipeline, Rotation, Sometimes, Translation

from support.estimators import SHAPE, make_classifier

PIPELINE = Pipeline(
    [
        Rotation((-5, 5)),
        Translation((-0.05, 0.05)),
        Contrast((0.9, 1.1)),
        Brightness((-0.03, 0.03)),
        Sometimes(GaussianNoise((0.0, 0.02))),
    ]
)
IDENTITY = Pipeline(Brightness((0.0, 0.0)))
ORDERS = ["joint", "domain_first", "pixels_first"]
OPTIONS = {"evaluations": 30, "max_iter": 15, "verbose": False, "seed": 0}
NORMS = [(np.inf, 0.03), (2, 0.3), (1, 2.0)]


def labelled(images):
    return images, make_classifier().predict(images).argmax(1)


def around(found, images):
    """The image that delta was added to, and the sum."""
    base = images if found.added == "before" else found.replay(images)
    return base.astype(np.float64), (base.astype(np.float64) + found.delta).astype(np.float32)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("norm", "eps"), NORMS)
def test_the_budget_holds_exactly_for_the_image_that_order_says(images, order, norm, eps):
    x, y = labelled(images)
    found = CompositeAttack(make_classifier(), PIPELINE, norm, eps, order=order, **OPTIONS).find(x, y)
    base, perturbed = around(found, x)
    assert np.linalg.norm((perturbed - base).reshape(len(x), -1), ord=norm, axis=1).max() <= eps
    assert np.linalg.norm(found.delta.reshape(len(x), -1), ord=norm, axis=1).max() > 0.9 * eps
    assert perturbed.min() >= 0
    assert perturbed.max() <= 1
    shown = found.replay(perturbed) if order == "pixels_first" else perturbed
    np.testing.assert_array_equal(found.images, shown)
    assert ((make_classifier().predict(found.images).argmax(1) != y) == found.fooled).all()


@pytest.mark.parametrize("order", ["domain_first", "pixels_first"])
def test_without_a_budget_it_is_the_domain_attack(images, order):
    x, y = labelled(images)
    alone = DomainAttack(make_classifier(), PIPELINE, evaluations=30, verbose=False, seed=0).find(x, y)
    found = CompositeAttack(make_classifier(), PIPELINE, eps=0.0, order=order, **OPTIONS).find(x, y)
    np.testing.assert_array_equal(found.images, alone.images)
    assert (found.delta == 0).all()


@pytest.mark.parametrize("order", ORDERS)
def test_without_a_domain_it_is_the_steepest_perturbation_of_a_linear_model(order):
    weights = torch.nn.Linear(64, 2, bias=False)
    with torch.no_grad():
        weights.weight.copy_(torch.randn(2, 64, generator=torch.Generator().manual_seed(0)))
    linear = torch.nn.Sequential(torch.nn.Flatten(), weights)
    x = np.full((3, *SHAPE), 0.5, dtype=np.float32)
    classifier = PyTorchClassifier(
        linear, torch.nn.CrossEntropyLoss(), SHAPE, 2, clip_values=(0, 1), device_type="cpu", preprocessing=(0.5, 0.25)
    )
    found = CompositeAttack(classifier, IDENTITY, eps=0.1, order=order, **OPTIONS).find(x, np.zeros(3, dtype=int))
    uphill = (weights.weight[1] - weights.weight[0]).detach().numpy().reshape(SHAPE)
    np.testing.assert_allclose(found.delta, np.broadcast_to(0.1 * np.sign(uphill), x.shape), atol=1e-6)
    # The estimator's own preprocessing quadruples what reaches the model.
    np.testing.assert_allclose(found.margins, 4 * 0.1 * np.abs(uphill).sum(), rtol=1e-4)


@pytest.mark.parametrize(("norm", "eps"), NORMS)
def test_without_a_domain_it_is_as_strong_as_pgd(images, norm, eps):
    x, y = labelled(images)
    found = CompositeAttack(make_classifier(), IDENTITY, norm, eps, **OPTIONS).find(x, y)
    pgd = PGD(make_classifier(), norm, eps, eps / 4, max_iter=15, loss="margin", keep_best=True, verbose=False)
    scores = torch.from_numpy(make_classifier().predict(pgd.generate(x, y)))
    own = scores.gather(1, torch.from_numpy(y)[:, None])[:, 0]
    rest = scores.scatter(1, torch.from_numpy(y)[:, None], -torch.inf).amax(1)
    assert found.margins.mean() >= (rest - own).mean() - 0.01


def test_joint_is_stronger_than_either_alone(images):
    x, y = labelled(images)
    joint = CompositeAttack(make_classifier(), PIPELINE, eps=0.03, order="joint", **OPTIONS).find(x, y)
    pixels = CompositeAttack(make_classifier(), IDENTITY, eps=0.03, order="joint", **OPTIONS).find(x, y)
    domain = DomainAttack(make_classifier(), PIPELINE, evaluations=75, verbose=False, seed=0).find(x, y)
    first = CompositeAttack(make_classifier(), PIPELINE, eps=0.03, order="domain_first", **OPTIONS).find(x, y)
    for alone in (pixels, domain):
        assert (joint.margins > alone.margins).all()
    assert joint.margins.mean() >= first.margins.mean()


@pytest.mark.parametrize("order", ORDERS)
def test_masked_pixels_get_nothing(images, order):
    x, y = labelled(images)
    mask = np.zeros(SHAPE, dtype=np.float32)
    mask[:, :4] = 1
    found = CompositeAttack(make_classifier(), PIPELINE, eps=0.1, order=order, **OPTIONS).find(x, y, mask)
    assert (found.delta[:, :, 4:] == 0).all()
    assert (found.delta[:, :, :4] != 0).any()


@pytest.mark.parametrize("order", ORDERS)
def test_a_budget_for_every_sample(images, order):
    x, y = labelled(images)
    eps = np.linspace(0, 0.1, len(x)).reshape(-1, 1, 1, 1)
    found = CompositeAttack(make_classifier(), PIPELINE, eps=eps, batch_size=3, order=order, **OPTIONS).find(x, y)
    base, perturbed = around(found, x)
    largest = np.abs(perturbed - base).reshape(len(x), -1).max(1)
    assert (largest <= eps.ravel()).all()
    assert (largest >= 0.9 * eps.ravel()).all()


def test_targeted(images):
    x, _ = labelled(images)
    target = make_classifier().predict(x).argsort(1)[:, -2]
    found = CompositeAttack(make_classifier(), PIPELINE, eps=0.6, targeted=True, **OPTIONS).find(x, target)
    assert ((make_classifier().predict(found.images).argmax(1) == target) == found.fooled).all()
    assert found.fooled.any()


def test_tensors_give_tensors_and_generate_gives_an_array(images):
    x, y = labelled(images)
    arrays = CompositeAttack(make_classifier(), PIPELINE, eps=0.03, **OPTIONS).find(x, y)
    tensors = CompositeAttack(make_classifier(), PIPELINE, eps=0.03, **OPTIONS).find(torch.from_numpy(x), y)
    assert isinstance(tensors.delta, torch.Tensor)
    np.testing.assert_array_equal(tensors.images.numpy(), arrays.images)
    generated = CompositeAttack(make_classifier(), PIPELINE, eps=0.03, **OPTIONS).generate(x, y)
    np.testing.assert_array_equal(generated, arrays.images)
    assert generated.dtype == np.float32


def test_arts_autoattack_takes_it(images):
    x, y = labelled(images)
    attack = CompositeAttack(make_classifier(), PIPELINE, eps=0.5, **OPTIONS)
    adversarial = AutoAttack(make_classifier(), eps=1.0, attacks=[attack]).generate(x, y)
    assert (make_classifier().predict(adversarial).argmax(1) != y).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"order": "both"}, "order must be one of"),
        ({"eps": -0.1}, "eps must be >= 0, got -0.1"),
        ({"norm": 0.5}, "norm must be"),
        ({"max_iter": -1}, "max_iter must be >= 0"),
    ],
)
def test_wrong_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        CompositeAttack(make_classifier(), PIPELINE, **wrong)

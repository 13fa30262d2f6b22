"""``torch.set_default_dtype(torch.float64)`` is for the caller's own code: nothing here depends on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    CompositeAttack,
    DomainAttack,
    MinimumNorm,
    StrongestAttack,
    diagnose,
    grid_attack,
)
from art_domainrand.randomization import (
    DOMAINS,
    TRANSFORMS,
    Brightness,
    GaussianNoise,
    OneOf,
    Pipeline,
    Rotation,
    Sometimes,
    corrupt,
    domain_mapping,
    random_transform,
)
from art_domainrand.randomization.corruptions import CORRUPTIONS

from support.attacks import RowWise, some_images
from support.estimators import CLASSES, cnn, wrap
from support.trainer import BRIGHT, assert_same, corners, trainable, trainer_of, weights

DOMAIN = [Brightness((-0.2, 0.2)), Sometimes(Rotation((-20, 20)), 0.5), GaussianNoise(0.05)]
OPTIONS = {"eps": 0.1, "verbose": False, "seed": 0}


@contextmanager
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def same_either_way(result):
    """The same type and the same bits."""
    expected = result()
    with double_by_default():
        found = result()
    assert found.dtype == expected.dtype
    assert np.array_equal(np.asarray(found), np.asarray(expected), equal_nan=True)


ATTACKS = {
    "FGSM": lambda e, norm: FGSM(e, norm, eps=0.1, num_random_init=1, seed=0),
    "minimal": lambda e, norm: FGSM(e, norm, eps=0.1, minimal=True, eps_step=0.02),
    "PGD": lambda e, norm: PGD(e, norm, eps_step=0.03, max_iter=4, num_random_init=2, **OPTIONS),
    "search": lambda e, norm: PGD(
        e, norm, eps_step=0.03, max_iter=4, loss="margin", early_stop=True, num_random_init=2, **OPTIONS
    ),
    "eot": lambda e, norm: PGD(
        e, norm, eps_step=0.03, max_iter=4, randomization=Pipeline(DOMAIN), eot_samples=3, **OPTIONS
    ),
    "AutoPGD": lambda e, norm: AutoPGD(e, norm, max_iter=8, nb_random_init=2, **OPTIONS),
    "strongest": lambda e, norm: StrongestAttack(e, norm, budget="quick", **OPTIONS),
    "minimum": lambda e, norm: MinimumNorm(e, norm, max_iter=20, seed=0, verbose=False),
    "domain": lambda e, norm: DomainAttack(e, DOMAIN, k=3, seed=0, verbose=False),
    "composite": lambda e, norm: CompositeAttack(e, DOMAIN, norm, max_iter=5, **OPTIONS),
}


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks(attack, norm):
    x, classifier = some_images(9), wrap(RowWise())
    same_either_way(lambda: ATTACKS[attack](classifier, norm).generate(x, np.arange(9) % CLASSES))


def test_grid_attack():
    x, classifier = some_images(5), wrap(RowWise())
    same_either_way(lambda: grid_attack(classifier, angles=3, shifts=2, verbose=False).generate(x))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    x = torch.rand(4, 3, 24, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float32)

    def changed():
        pipeline = Pipeline([TRANSFORMS[name](), OneOf([Brightness(), Rotation()])])
        return pipeline(x, torch.Generator().manual_seed(1))

    same_either_way(changed)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions(name):
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    same_either_way(lambda: corrupt(x, name, 3))


@pytest.mark.parametrize("name", DOMAINS)
def test_domains(name):
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    same_either_way(lambda: domain_mapping(x, name, seed=0))


def test_the_plain_function():
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    same_either_way(lambda: random_transform(x, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("objective", ["trades", "consistency", "fast", "free"])
def test_the_trainer(objective):
    x, y = corners(32)

    def trained(classifier):
        ranges = {} if objective == "free" else {"automatic_ranges": True, "ema": 0.9}
        trainer = trainer_of(classifier, objective=objective, randomization=BRIGHT, seed=0, **ranges)
        trainer.fit(x, y, batch_size=16, nb_epochs=2, validation_data=(x, y))
        return weights(classifier)

    one, other = trainable(cnn()), trainable(cnn())
    expected = trained(one)
    with double_by_default():
        assert_same(trained(other), expected)


def test_diagnosis():
    x, classifier = some_images(20), wrap(RowWise())
    expected = diagnose(classifier, x, np.arange(20) % CLASSES, eps=0.1, max_iter=3)
    with double_by_default():
        assert diagnose(classifier, x, np.arange(20) % CLASSES, eps=0.1, max_iter=3) == expected

"""With a seed, an image's result depends on seed and image alone: to the last bit, in any batch, order and company."""

import numpy as np
import pytest
import torch

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    CompositeAttack,
    DomainAttack,
    DomainRandomization,
    MinimumNorm,
    StrongestAttack,
)
from art_domainrand.randomization import Brightness, Rotation

from support.attacks import RowWise, predicted, some_images
from support.estimators import CLASSES, wrap

QUIET = {"seed": 7, "verbose": False}
DOMAIN = [Rotation((-20, 20)), Brightness((-0.2, 0.2))]


def pgd(classifier, **options):
    budget = {"eps": 0.1, "eps_step": 0.02, "max_iter": 5, "num_random_init": 1}
    return PGD(classifier, **QUIET, **budget | options)


ATTACKS = {
    "PGD": pgd,
    "PGD, restarts": lambda c, **o: pgd(c, num_random_init=3, **o),
    "PGD, L2": lambda c, **o: pgd(c, norm=2, eps=0.5, eps_step=0.1, **o),
    "PGD, L1": lambda c, **o: pgd(c, norm=1, eps=3.0, eps_step=0.5, **o),
    "PGD, L3": lambda c, **o: pgd(c, norm=3, eps=0.4, eps_step=0.1, **o),
    "PGD, search": lambda c, **o: pgd(c, num_random_init=3, early_stop=True, keep_best=True, loss="margin", **o),
    "PGD, view": lambda c, **o: pgd(c, randomization=DOMAIN, eot_samples=3, eot_draws="sobol", keep_best=True, **o),
    "FGSM": lambda c, **o: FGSM(c, eps=0.1, num_random_init=2, **QUIET, **o),
    "FGSM, L1": lambda c, **o: FGSM(c, norm=1, eps=3.0, num_random_init=1, **QUIET, **o),
    "AutoPGD": lambda c, **o: AutoPGD(c, eps=0.05, max_iter=8, nb_random_init=2, **QUIET, **o),
    "AutoPGD, L2": lambda c, **o: AutoPGD(c, norm=2, eps=0.3, max_iter=8, nb_random_init=2, **QUIET, **o),
    "AutoPGD, L1": lambda c, **o: AutoPGD(c, norm=1, eps=2.0, max_iter=8, nb_random_init=2, **QUIET, **o),
    "Strongest": lambda c, **o: StrongestAttack(c, eps=0.05, budget="quick", **QUIET, **o),
    "Strongest, L1": lambda c, **o: StrongestAttack(c, norm=1, eps=1.0, budget="quick", **QUIET, **o),
    "minimum": lambda c, **o: MinimumNorm(c, max_iter=20, **QUIET, **o),
    "minimum, L2": lambda c, **o: MinimumNorm(c, 2, max_iter=20, **QUIET, **o),
    "minimum, L1": lambda c, **o: MinimumNorm(c, 1, max_iter=20, **QUIET, **o),
    "minimum, L0": lambda c, **o: MinimumNorm(c, 0, max_iter=20, **QUIET, **o),
    "domain": lambda c, **o: DomainAttack(c, DOMAIN, evaluations=12, **QUIET, **o),
    "composite": lambda c, **o: CompositeAttack(c, DOMAIN, eps=0.05, max_iter=4, evaluations=12, **QUIET, **o),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_any_batch_order_and_company_gives_the_same_bits(name):
    classifier, x = wrap(RowWise()), some_images(9)
    y = predicted(classifier, x)
    whole = ATTACKS[name](classifier, batch_size=100).generate(x, y)
    assert (whole != x).any((1, 2, 3)).all()
    for size in (1, 4):
        np.testing.assert_array_equal(ATTACKS[name](classifier, batch_size=size).generate(x, y), whole)
    order = np.random.default_rng(0).permutation(9)
    attack = ATTACKS[name](classifier, batch_size=5)
    np.testing.assert_array_equal(attack.generate(x[order], y[order]), whole[order])
    np.testing.assert_array_equal(attack.generate(x[3:7], y[3:7]), whole[3:7], "also in a second call")


@pytest.mark.parametrize("name", ["FGSM", "PGD", "PGD, view", "AutoPGD", "Strongest", "minimum", "domain", "composite"])
def test_so_it_is_behind_a_random_preprocessor_of_ours(name):
    x = some_images(5)
    y = predicted(wrap(RowWise()), x)
    view = DomainRandomization(DOMAIN, apply_predict=True, seed=3, device_type="cpu")  # whose own draws go on
    classifier = wrap(RowWise(), preprocessing_defences=[view])
    options = {"eot_samples": 2} if name == "Strongest" else {}  # it would take 16
    whole = ATTACKS[name](classifier, batch_size=100, **options).generate(x, y)
    few = ATTACKS[name](classifier, batch_size=3, **options).generate(x[:4][::-1], y[:4][::-1])
    np.testing.assert_array_equal(few[::-1], whole[:4])


@pytest.mark.parametrize("kind", [PGD, FGSM])
@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("option", [{"loss": "cross_entropy"}, {"eot_draws": "sobol"}, {"early_stop": True}])
def test_an_option_without_effect_changes_nothing(kind, norm, option):
    """Nobody is fooled at this radius, so stopping early has no effect either."""
    classifier, x = wrap(RowWise()), some_images(13)
    y = predicted(classifier, x)
    steps = {"eps_step": 2e-5, "max_iter": 5} if kind is PGD else {}
    options = {"norm": norm, "eps": 1e-4, "num_random_init": 1, **QUIET, **steps}
    plain = kind(classifier, **options).generate(x, y)
    assert (predicted(classifier, plain) == y).all()
    np.testing.assert_array_equal(kind(classifier, **options, **option).generate(x, y), plain)


def test_another_seed_and_another_copy_start_elsewhere():
    classifier, x = wrap(RowWise()), np.repeat(some_images(1), 3, 0)
    y = predicted(classifier, x)
    found = pgd(classifier, max_iter=1, eps_step=1e-6).generate(x, y)
    assert len(np.unique(found.reshape(3, -1), axis=0)) == 3
    attack = pgd(classifier, max_iter=1, eps_step=1e-6)
    attack.set_params(seed=8)
    assert (attack.generate(x, y) != found).any((1, 2, 3)).all()


def test_numpy_and_torch_give_the_same_bits():
    classifier, x = wrap(RowWise()), some_images(5)
    y = predicted(classifier, x)
    found = pgd(classifier).perturb(torch.from_numpy(x), torch.from_numpy(y))
    np.testing.assert_array_equal(found.numpy(), pgd(classifier).generate(x, y))


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_the_label_of_another_image_changes_nothing(norm):
    """Cross-entropy is climbed otherwise for soft labels than for single classes: sample by sample."""
    classifier, x = wrap(RowWise()), some_images(8)
    y = np.eye(CLASSES, dtype=np.float32)[predicted(classifier, x)]
    soft = y.copy()
    soft[-1] = 0.9 * y[-1] + 0.1 / CLASSES
    eps = {np.inf: 0.01, 2: 0.05, 1: 0.2}[norm]
    options = {"norm": norm, "eps": eps, "max_iter": 20, "loss_type": "cross_entropy", "nb_random_init": 1}
    single, mixed = (AutoPGD(classifier, **QUIET, **options).generate(x, labels) for labels in (y, soft))
    np.testing.assert_array_equal(mixed[:-1], single[:-1])
    alone = AutoPGD(classifier, **QUIET, **options).generate(x[-1:], soft[-1:])
    np.testing.assert_array_equal(mixed[-1:], alone)


def test_the_classes_aimed_at_are_drawn_from_the_seed_too():
    """Behind a preprocessor without a seed of its own, which class comes second is as random as the images."""
    view = DomainRandomization([Rotation((-180, 180)), Brightness((-0.5, 0.5))], apply_predict=True, device_type="cpu")
    classifier, x = wrap(RowWise(), preprocessing_defences=[view]), some_images(24)
    y = predicted(wrap(RowWise()), x)
    options = {"eps": 0.01, "max_iter": 3, "nb_random_init": 1, "loss_type": "targeted_dlr", "nb_target_classes": 1}
    found = AutoPGD(classifier, **QUIET, **options).generate(x, y)
    np.testing.assert_array_equal(AutoPGD(classifier, **QUIET, **options).generate(x, y), found)
    part = AutoPGD(classifier, batch_size=5, **QUIET, **options).generate(x[7:], y[7:])
    np.testing.assert_array_equal(part, found[7:])

"""Where ART is wrong, ours is right: each difference that examples/guides/art.md lists."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
from torch import nn

from art_domainrand import FGSM, PGD
from art_domainrand.core.losses import margin
from art_domainrand.core.norms import lp_norm

NORMS = {np.inf: (0.1, 0.03), 2: (1.0, 0.3), 1: (6.0, 1.0), 1.5: (3.0, 0.5), 3: (0.8, 0.2)}


def distance(adv, x, norm):
    return lp_norm(torch.from_numpy(adv).double() - torch.from_numpy(x).double(), float(norm)).flatten().numpy()


def margins(classifier, adv, y):
    return margin(torch.from_numpy(classifier.predict(adv)), torch.from_numpy(y)).numpy()


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("norm", NORMS)
def test_budget_holds_exactly(classifier, images, labels, norm, start):
    eps, step = NORMS[norm]
    for attack in (
        PGD(classifier, norm, eps, step, max_iter=8, num_random_init=start, verbose=False),
        PGD(classifier, norm, eps, step, max_iter=8, num_random_init=start, seed=3, verbose=False),
        FGSM(classifier, norm, eps, num_random_init=start),
    ):
        adv = attack.generate(images, labels)
        assert (distance(adv, images, norm) <= eps * (1 + 1e-14)).all()
        assert adv.min() >= 0
        assert adv.max() <= 1
        assert np.abs(adv - images).max() > 0


def test_art_oversteps_where_ours_does_not(classifier, labels):
    """The premise of the test above: float32 rounding takes ART's iterates out of the L-inf ball."""
    x = np.random.default_rng(0).random((10, 1, 8, 8), dtype=np.float32)
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 8, "verbose": False}
    theirs = ProjectedGradientDescentPyTorch(classifier, **options).generate(x, labels)
    assert distance(theirs, x, np.inf).max() > 0.1


def test_l1_spends_its_budget(classifier, images, labels):
    """ART steps along one pixel and rescales; ours gets further from the same number of steps."""
    options = {"norm": 1, "eps": 10.0, "eps_step": 1.0, "max_iter": 30, "verbose": False}
    ours = PGD(classifier, **options).generate(images, labels)
    theirs = ProjectedGradientDescentPyTorch(classifier, **options).generate(images, labels)
    assert np.allclose(distance(ours, images, 1), 10.0, atol=1e-3)
    assert (margins(classifier, ours, labels) >= margins(classifier, theirs, labels)).all()
    assert margins(classifier, ours, labels).mean() > margins(classifier, theirs, labels).mean() + 1


def test_restarts_keep_the_best_of_each_sample(classifier, images):
    """Every run with one start is a candidate: the result of three starts is the best of the three for each image."""
    y = classifier.predict(images).argmax(1)
    options = {"eps": 0.25, "eps_step": 0.1, "max_iter": 3, "verbose": False, "batch_size": 10}
    np.random.seed(7)
    together = PGD(classifier, num_random_init=3, **options).generate(images, y)
    np.random.seed(7)
    alone = [PGD(classifier, num_random_init=1, **options).generate(images, y) for _ in range(3)]
    scores = np.stack([margins(classifier, adv, y) for adv in alone])
    best, kept = scores.max(0), margins(classifier, together, y)
    broken = best > 0
    assert broken.any()
    assert not broken.all()
    assert ((kept > 0) == broken).all()
    assert np.allclose(kept[~broken], best[~broken], atol=1e-5)
    assert len({int(i) for i in scores[:, ~broken].argmax(0)}) > 1, "one restart was best everywhere: the test is empty"


def test_restarts_look_for_the_label_not_for_a_change(classifier, images):
    """With true labels ART takes an image that becomes correctly classified for a success; ours never does."""
    predicted = classifier.predict(images)
    y = predicted.argsort(1)[:, -2]  # every image starts misclassified, its label being the runner-up
    options = {"eps": 0.3, "eps_step": 0.15, "max_iter": 2, "num_random_init": 5, "verbose": False}
    ours = PGD(classifier, **options).generate(images, y)
    assert (classifier.predict(ours).argmax(1) != y).all()


def test_fgsm_restarts_return_a_perturbation_when_nothing_breaks(classifier, images):
    y = classifier.predict(images).argmax(1)
    options = {"eps": 1e-3, "num_random_init": 3}
    assert np.array_equal(FastGradientMethod(classifier, **options).generate(images, y), images)
    ours = FGSM(classifier, **options).generate(images, y)
    assert (distance(ours, images, np.inf) > 5e-4).all()


def test_minimal_gives_the_unbroken_their_strongest(classifier, images):
    y = classifier.predict(images).argmax(1)
    adv = FGSM(classifier, eps=0.03, eps_step=0.01, minimal=True).generate(images, y)
    unbroken = classifier.predict(adv).argmax(1) == y
    assert unbroken.any()
    assert np.allclose(distance(adv, images, np.inf)[unbroken], 0.03, atol=1e-7)


def test_minimal_is_the_first_radius_that_breaks(classifier, images):
    y = classifier.predict(images).argmax(1)
    adv = FGSM(classifier, eps=0.5, eps_step=0.05, minimal=True).generate(images, y)
    radius = distance(adv, images, np.inf)
    broken = classifier.predict(adv).argmax(1) != y
    assert broken.any()
    for k in range(1, 10):
        at_k = FGSM(classifier, eps=0.05 * k).generate(images, y)
        breaks = classifier.predict(at_k).argmax(1) != y
        assert not (breaks & (radius > 0.05 * k + 1e-6)).any()


@pytest.mark.parametrize("shape", [(10, 1, 1, 1), (10, 1, 8, 8), (1, 8, 8)])
@pytest.mark.parametrize("seed", [None, 3])
def test_eps_arrays_take_random_starts(classifier, images, labels, shape, seed):
    eps = np.random.default_rng(0).uniform(0.01, 0.2, shape)
    options = {"eps": eps, "eps_step": eps / 4, "num_random_init": 1, "verbose": False, "seed": seed}
    adv = PGD(classifier, max_iter=5, **options).generate(images, labels)
    moved = np.abs(adv.astype(np.float64) - images.astype(np.float64))
    assert (moved <= eps).all()
    assert (moved.reshape(10, -1).max(1) > 0.5 * np.broadcast_to(eps, moved.shape).reshape(10, -1).min(1)).all()
    assert (moved <= np.broadcast_to(eps, moved.shape)).all()


@pytest.mark.parametrize("norm", [1, 2, 3])
@pytest.mark.parametrize("seed", [None, 3])
def test_eps_per_sample_takes_random_starts_in_every_norm(classifier, images, labels, norm, seed):
    eps = np.linspace(0.1, 1, 10).reshape(10, 1, 1, 1)
    options = {"norm": norm, "eps": eps, "eps_step": eps / 4, "num_random_init": 1, "verbose": False, "seed": seed}
    adv = PGD(classifier, max_iter=5, batch_size=3, **options).generate(images, labels)
    length = distance(adv, images, norm)
    assert (length <= eps.ravel() * (1 + 1e-12)).all()
    assert (length > 0.5 * eps.ravel()).all()


def test_masks_broadcast_like_arrays(classifier, images, labels):
    """ART takes only masks of the whole feature shape; (H, W) and the like mean what they do in NumPy."""
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 4, "num_random_init": 1, "seed": 0, "verbose": False}
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:5, 1:4] = True
    flat = PGD(classifier, **options).generate(images, labels, mask=mask)
    full = PGD(classifier, **options).generate(images, labels, mask=np.broadcast_to(mask, images.shape).copy())
    assert np.array_equal(flat, full)
    assert np.array_equal(flat[..., ~mask], images[..., ~mask])
    assert (flat[..., mask] != images[..., mask]).any()


def test_random_eps_leaves_the_attack_as_configured(classifier, images, labels):
    attack = PGD(classifier, eps=0.2, eps_step=0.05, max_iter=3, random_eps=True, verbose=False, seed=1)
    radii = [distance(attack.generate(images, labels), images, np.inf).max() for _ in range(6)]
    assert (attack.eps, attack.eps_step) == (0.2, 0.05)
    assert len(set(radii)) == 6
    assert max(radii) <= 0.2


def test_a_seed_leaves_the_global_generators_alone(classifier, images, labels):
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 2, "num_random_init": 1, "verbose": False}
    first = PGD(classifier, seed=5, **options)
    before = np.random.get_state()[1].copy()
    adv = first.generate(images, labels)
    assert np.array_equal(np.random.get_state()[1], before)
    assert np.array_equal(PGD(classifier, seed=5, **options).generate(images, labels), adv)
    assert not np.array_equal(PGD(classifier, seed=6, **options).generate(images, labels), adv)


def test_fgsm_on_a_linear_model_gains_eps_times_the_l1_norm(classifier_with, images):
    """Loss -log p is monotone in the margin; in the linear model the margin of two classes moves by eps |w1 - w0|_1."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    linear = classifier_with(model, nb_classes=2, clip_values=None)
    y = np.zeros(len(images), dtype=int)
    gain = margins(linear, FGSM(linear, eps=0.1).generate(images, y), y) - margins(linear, images, y)
    weight = (model[1].weight[1] - model[1].weight[0]).detach().numpy()
    assert np.allclose(gain, 0.1 * np.abs(weight).sum(), rtol=1e-4)


class NotANumber(nn.Module):
    """A model whose gradient is NaN for bright images: sqrt at zero."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        x = x.flatten(1)
        dark = torch.where(x.mean(1, keepdim=True) > 0.5, 0.0, 1.0)
        return self.head(x) + torch.sqrt(dark * x).sum(1, keepdim=True) * torch.arange(4)


def test_non_finite_gradients_are_counted_and_reported(classifier_with, images, labels):
    broken = classifier_with(NotANumber())
    images = images.copy()
    images[:3] = images[:3] * 0.2 + 0.75
    images[3:] *= 0.4
    attack = PGD(broken, eps=0.01, eps_step=0.005, max_iter=3, verbose=False, batch_size=4)
    with pytest.warns(RuntimeWarning, match="3 of 10 samples met a non-finite loss gradient"):
        adv = attack.generate(images, labels)
    assert np.isfinite(adv).all()


def test_zero_gradient_leaves_a_pixel_alone(classifier_with, images, labels):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    blind = classifier_with(model)
    with torch.no_grad():
        model[1].weight[:, :32] = 0
    adv = PGD(blind, eps=0.1, eps_step=0.03, max_iter=4, verbose=False).generate(images, labels)
    assert np.array_equal(adv.reshape(10, -1)[:, :32], images.reshape(10, -1)[:, :32])
    assert (adv.reshape(10, -1)[:, 32:] != images.reshape(10, -1)[:, 32:]).mean() > 0.8

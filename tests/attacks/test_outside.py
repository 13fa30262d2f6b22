"""Pixels a little outside ``clip_values``: attacked as ART attacks them, and said; NaN and 8-bit pixels are errors."""

import warnings

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
from art.estimators.classification import EnsembleClassifier, PyTorchClassifier

from art_domainrand import FGSM, PGD, AutoPGD, CompositeAttack, DomainAttack, StrongestAttack, diagnose
from art_domainrand.attacks.engine.outside import BallFromOutside
from art_domainrand.core.norms import ball
from art_domainrand.core.pixels import TOLERANCE
from art_domainrand.randomization import Brightness, Gamma

from support.attacks import distance, margins, predicted
from support.estimators import CLASSES, SHAPE, cnn

BUDGETS = {np.inf: (0.1, 0.03), 2: (0.8, 0.3), 1.5: (2.0, 0.7), 3: (0.6, 0.2)}
DARKER = [Gamma((0.8, 0.9)), Brightness((-0.1, 0.1))]  # a power of negative pixels is not a number
NOISES = {"within_eps": 0.04, "beyond_eps": 0.4}


def noisy(scale: float, n: int = 10) -> np.ndarray:
    """Images of the whole range with noise added, as SmoothAdv adds it."""
    rng = np.random.default_rng(5)
    x = rng.random((n, *SHAPE)) + rng.uniform(-scale, scale, (n, *SHAPE))
    assert x.min() < 0
    assert x.max() > 1
    return x.astype(np.float32)


@pytest.mark.filterwarnings("ignore:x should lie")
# ART has no random start in norms other than 1, 2 and inf.
@pytest.mark.parametrize(("norm", "starts"), [(2, 0), (2, 1), (np.inf, 0), (np.inf, 1), (1.5, 0), (3, 0)])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("kind", ["device", "arrays"])
def test_the_result_is_arts(classifier, labels, norm, noise, starts, kind):
    x, (eps, step) = noisy(NOISES[noise]), BUDGETS[norm]
    pairs = [(FGSM, FastGradientMethod, {})]
    if kind == "device":
        pairs.append((PGD, ProjectedGradientDescentPyTorch, {"max_iter": 5, "verbose": False}))
    target = (
        classifier if kind == "device" else EnsembleClassifier([classifier], channels_first=True, clip_values=(0, 1))
    )
    for ours, theirs, options in pairs:
        results = []
        for attack in (ours, theirs):
            np.random.seed(1)
            made = attack(target, norm=norm, eps=eps, eps_step=step, num_random_init=starts, **options)
            results.append(made.generate(x, labels))
        np.testing.assert_allclose(*results, atol=1e-6, rtol=0)
        assert distance(results[0], x, norm).max() <= eps
        if norm == np.inf and noise == "within_eps":
            assert results[0].min() >= 0
            assert results[0].max() <= 1


@pytest.mark.filterwarnings("ignore:x should lie")
@pytest.mark.parametrize("norm", BUDGETS)
def test_the_least_radius_is_arts(classifier, norm):
    x, (eps, step) = noisy(0.4), BUDGETS[norm]
    y = classifier.predict(x).argmax(1)
    options = {"norm": norm, "eps": 6 * eps, "eps_step": step / 3, "minimal": True}
    ours, theirs = (attack(classifier, **options).generate(x, y) for attack in (FGSM, FastGradientMethod))
    broken = classifier.predict(theirs).argmax(1) != y  # for the others ART stays below eps
    assert broken.sum() > 3
    np.testing.assert_allclose(ours[broken], theirs[broken], atol=1e-6, rtol=0)


ATTACKS = {
    "FGSM": lambda e, **o: FGSM(e, **o),
    "FGSM with options": lambda e, **o: FGSM(e, loss="margin", keep_best=True, **o),
    "PGD": lambda e, **o: PGD(e, eps_step=0.03, max_iter=4, verbose=False, **o),
    "PGD with options": lambda e, **o: PGD(
        e, eps_step=o["eps"] / 3, max_iter=8, num_random_init=2, early_stop=True, loss="margin", verbose=False, **o
    ),
    "AutoPGD": lambda e, **o: AutoPGD(e, max_iter=6, nb_random_init=2, verbose=False, **o),
    "StrongestAttack": lambda e, **o: StrongestAttack(e, budget="quick", verbose=False, **o),
}


@pytest.mark.parametrize("norm", [1, 2, np.inf])
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_takes_them_within_its_budget(classifier, name, norm):
    """In the ball to the last bit; the distance to the box never grows, and is gone in L-inf where eps covers it."""
    x = noisy(0.08)
    eps = {1: 3.0, 2: 0.6, np.inf: 0.1}[norm]
    attack, y = ATTACKS[name](classifier, norm=norm, eps=eps, seed=0), predicted(classifier, x)
    with pytest.warns(RuntimeWarning, match=r"x should lie within clip_values \[0, 1\], got \S+ at x\[0, 0, \d, \d\]"):
        adversarial = attack.generate(x, y)
    assert distance(adversarial, x, norm).max() <= eps
    before, after = (np.maximum(0, np.maximum(-a, a - 1)) for a in (x, adversarial))
    assert (after <= before).all()
    if norm == np.inf:
        assert not after.any()
    assert (margins(classifier, adversarial, y) > margins(classifier, x, y)).all()


@pytest.mark.parametrize("order", ["joint", "domain_first", "pixels_first"])
def test_attacks_on_the_domain_take_them(classifier, labels, order):
    x = noisy(0.04)
    with pytest.warns(RuntimeWarning, match="x should lie within"):
        seen = DomainAttack(classifier, DARKER, evaluations=4, seed=0, verbose=False).generate(x, labels)
    attack = CompositeAttack(classifier, DARKER, eps=0.1, max_iter=3, evaluations=4, order=order, seed=0, verbose=False)
    with pytest.warns(RuntimeWarning, match="x should lie within"):
        found = attack.find(x, labels)
    if order == "domain_first":
        assert np.abs(found.replay(x) + found.delta - found.images).max() <= 1e-6
    for shown in (seen, found.images):
        assert 0 <= shown.min() <= shown.max() <= 1
    assert np.abs(found.delta).max() <= 0.1


@pytest.mark.parametrize("norm", [1, 1.5, 2, 3, np.inf])
def test_images_inside_the_box_get_the_plain_ball(norm):
    x = torch.from_numpy(np.random.default_rng(0).random((6, 1, 8, 8), np.float32))
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    plain = ball(norm, x, 0.3, torch.tensor(0.0), torch.tensor(1.0))
    wide = BallFromOutside(plain)
    for part in (slice(None), torch.tensor([4, 1])):
        inner, outer = (b if isinstance(part, slice) else b.take(part) for b in (plain, wide))
        here, slope = x[part], grad[part]
        expected = inner.settle(inner.ascend(here, slope.clone(), 0.2))
        torch.testing.assert_close(outer.settle(outer.ascend(here, slope.clone(), 0.2)), expected, atol=1e-7, rtol=0)


def test_the_warning_says_index_value_and_cure_once(classifier, labels):
    x = np.full((10, *SHAPE), 0.5, np.float32)
    x[3, 0, 2, 5] = 1.25
    attack = PGD(classifier, max_iter=1, verbose=False)
    with pytest.warns(RuntimeWarning, match=r"\[0, 1\], got 1.25 at x\[3, 0, 2, 5\]; clip x, or set the clip_values"):
        attack.generate(x, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attack.generate(x, labels)
        rounded = x.clip(0, 1) * (1 + TOLERANCE / 2)
        PGD(classifier, max_iter=1, verbose=False).generate(rounded, labels)


def test_normalised_pixels_are_told_from_8_bit_ones(classifier, labels):
    x = noisy(0.0 + 0.01)
    with pytest.warns(
        RuntimeWarning, match=r"normalised by a mean and std, give the estimator preprocessing=\(mean, std"
    ):
        FGSM(classifier, eps=0.1).generate((x - 0.45) / 0.22, labels)
    eight_bit = (x.clip(0, 1) * 255).round()
    for found in (eight_bit, eight_bit.astype(np.uint8)):
        for call in (FGSM(classifier).generate, lambda x, y: diagnose(classifier, x, y)):
            with pytest.raises(
                ValueError, match=r"x must lie within clip_values \[0, 1\].* divide x by 255, or set clip"
            ):
                call(found, labels)


def test_quantized_images_have_no_level_out_there(classifier, labels):
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="quantize must be False for pixels outside"):
        FGSM(classifier, eps=0.1, quantize=True).generate(noisy(0.1), labels)


class RangeOfEachPixel(PyTorchClassifier):
    """An estimator whose largest values are those of each pixel; ART's own constructor takes pairs of arrays only."""

    high: np.ndarray

    @property
    def clip_values(self):
        return 0, self.high


@pytest.mark.parametrize("shape", [SHAPE, (64,)])
def test_a_range_of_each_pixel(labels, shape):
    """A number below and an array above: what lies outside is told by the pixel's own range."""
    high = np.full(SHAPE, 1.0, np.float32)
    high[0, 1, 1] = 0.25
    classifier = RangeOfEachPixel(cnn(), torch.nn.CrossEntropyLoss(), SHAPE, CLASSES, device_type="cpu")
    classifier.high = high.reshape(shape)
    x = np.full((10, *SHAPE), 0.2, np.float32)
    x[4, 0, 1, 1] = 0.3
    with pytest.warns(RuntimeWarning, match=r"clip_values \[0, 0.25\], got 0.3 at x\[4, 0, 1, 1\]"):
        adversarial = FGSM(classifier, eps=0.1).generate(x, labels)
    assert (adversarial <= high).all()


STOPPING = {
    "AutoPGD": lambda e, **o: AutoPGD(e, max_iter=6, nb_random_init=0, verbose=False, **o),
    "PGD": lambda e, **o: PGD(e, eps_step=0.03, max_iter=4, early_stop=True, verbose=False, **o),
    "StrongestAttack": ATTACKS["StrongestAttack"],
}


@pytest.mark.filterwarnings("ignore:x should lie")
# In L1 Auto-PGD climbs in larger balls first, and the ensemble takes FGSM's step: they do not stop at the image, and
# the Euclidean projection of such a point can give back part of the way into the box.
@pytest.mark.parametrize(("name", "norm"), [(n, p) for n in STOPPING for p in (1, 2, np.inf) if p != 1 or n == "PGD"])
def test_images_that_fool_as_they_are_come_back_inside_too(classifier, name, norm):
    x = noisy(0.02)
    y = (predicted(classifier, x) + 1) % CLASSES
    eps = {1: 3.0, 2: 0.6, np.inf: 0.1}[norm]
    assert distance(x.clip(0, 1), x, norm).max() < eps, "so that all can be brought inside"
    fooled = predicted(classifier, x.clip(0, 1)) != y
    assert fooled.any()
    found = STOPPING[name](classifier, norm=norm, eps=eps, seed=0).generate(x, y)
    assert distance(found, x, norm).max() <= eps
    assert (predicted(classifier, found) != y)[fooled].all()
    assert 0 <= found[fooled].min() <= found[fooled].max() <= 1

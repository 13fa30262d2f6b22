"""What MinimumNorm is asked for beyond the closest point: targets, masks, ranges of pixels, rounding, random models."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from art.metrics import metrics as by_name

from art_domainrand import FGSM, PGD, DomainRandomization, MinimumNorm
from art_domainrand.attacks import Closest, empirical_robustness
from art_domainrand.attacks.engine.search import search
from art_domainrand.randomization import GaussianNoise

from support.attacks import RowWise, predicted, some_images
from support.estimators import CLASSES, SHAPE, make_classifier, wrap

NORMS = [0, 1, 2, np.inf]
QUIET = {"seed": 0, "verbose": False}


def lengths(found, x, norm):
    change = found.images.astype(np.float64) - x.astype(np.float64)
    return np.linalg.norm(change.reshape(len(x), -1), norm, axis=1)


@pytest.mark.parametrize("norm", NORMS)
def test_a_target_is_reached_and_is_no_nearer_than_any_class(norm):
    classifier, x = wrap(RowWise()), some_images(6)
    y = predicted(classifier, x)
    target = (y + 1) % CLASSES
    found = MinimumNorm(classifier, norm, 100, targeted=True, **QUIET).find(x, target)
    assert found.found.all()
    np.testing.assert_array_equal(predicted(classifier, found.images), target)
    np.testing.assert_allclose(lengths(found, x, norm), found.distances)
    anywhere = MinimumNorm(classifier, norm, 300, **QUIET).find(x, y)
    assert (anywhere.distances <= found.distances * 1.02).all()
    at_home = MinimumNorm(classifier, norm, 3, targeted=True, **QUIET).find(x, y)
    np.testing.assert_array_equal(at_home.distances, 0)


@pytest.mark.parametrize("algorithm", ["auto", "fmn"])
@pytest.mark.parametrize("norm", NORMS)
def test_masked_pixels_stay(norm, algorithm):
    classifier, x = wrap(RowWise()), some_images(4)
    mask = np.zeros((1, *SHAPE), np.float32)
    mask[..., ::2] = 1
    found = MinimumNorm(classifier, norm, 80, algorithm=algorithm, **QUIET).find(x, predicted(classifier, x), mask)
    assert (found.images[..., 1::2] == x[..., 1::2]).all()
    assert found.found.any()
    free = MinimumNorm(classifier, norm, 80, algorithm=algorithm, **QUIET).find(x, predicted(classifier, x))
    assert np.median(free.distances) <= np.median(found.distances)


@pytest.mark.parametrize("norm", NORMS)
def test_units_are_those_of_the_pixels(norm):
    """The same model on pixels in [0, 256]: distances are 256 times as large."""
    x = some_images(4)

    class In256(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = RowWise()

        def forward(self, z):
            return self.net(z / 256)

    small = MinimumNorm(wrap(RowWise()), norm, 120, **QUIET).find(x)
    wide = MinimumNorm(wrap(In256(), clip_values=(0, 256)), norm, 120, **QUIET).find(x * 256)
    factor = 1 if norm == 0 else 256
    np.testing.assert_allclose(wide.distances / factor, small.distances, rtol=0.02)
    assert wide.images.max() > 2


def test_without_a_range_pixels_may_leave_it_and_l0_has_no_sense():
    bare = wrap(RowWise(), clip_values=None)
    x = some_images(4)
    inside = MinimumNorm(wrap(RowWise()), 2, 100, **QUIET).find(x)
    found = MinimumNorm(bare, 2, 100, **QUIET).find(x)
    assert (found.distances <= inside.distances * 1.01).all()
    with pytest.raises(ValueError, match=r"clip_values must be given by the estimator for norm 0.*got None"):
        MinimumNorm(bare, 0, 10, **QUIET).find(x)


@pytest.mark.parametrize("norm", NORMS)
def test_rounded_images_are_judged_rounded(norm):
    classifier = wrap(RowWise())
    x = (some_images(4) * 255).round() / np.float32(255)
    found = MinimumNorm(classifier, norm, 60, quantize=True, **QUIET).find(x)
    levels = found.images.astype(np.float64) * 255
    assert found.found.all()
    assert np.abs(levels - levels.round()).max() < 1e-4
    assert (predicted(classifier, found.images) != predicted(classifier, x)).all()
    np.testing.assert_allclose(lengths(found, x, norm), found.distances)


def test_on_a_random_model_an_example_holds_under_fresh_draws():
    noise = DomainRandomization(GaussianNoise(0.05), seed=0, apply_predict=True, clip=None, device_type="cpu")
    classifier, x = wrap(RowWise(), preprocessing_defences=[noise]), some_images(4)
    y = predicted(wrap(RowWise()), x)
    found = MinimumNorm(classifier, 2, 40, eot_samples=4, **QUIET).find(x, y)
    assert found.found.all()
    held = np.mean([predicted(classifier, found.images) != y for _ in range(20)])
    assert held > 0.75
    certain = MinimumNorm(wrap(RowWise()), 2, 40, **QUIET).find(x, y)
    assert found.distances.mean() > certain.distances.mean(), "noise is no help to the attacker who must always win"


@pytest.mark.parametrize("norm", NORMS)
def test_no_stage_loses_what_the_ones_before_have_found(norm):
    classifier, x = wrap(RowWise()), some_images(5)
    attack = MinimumNorm(classifier, norm, 200, **QUIET)
    before = np.full(len(x), np.inf)
    with attack._opened(torch.from_numpy(x), None, None) as (inputs, stages):
        assert len(stages) >= 3
        assert sum(stage.max_iter for stage in stages) == 200
        for k in range(1, len(stages) + 1):
            after = -search(inputs, stages[:k]).margin.numpy()
            assert (after <= before).all()
            before = after


def test_tensors_come_back_as_tensors_and_generate_returns_the_same_images():
    classifier, x = wrap(RowWise()), some_images(3)
    attack = MinimumNorm(classifier, 2, 30, **QUIET)
    found = attack.find(torch.from_numpy(x))
    assert isinstance(found.images, torch.Tensor)
    assert isinstance(found, Closest)
    np.testing.assert_array_equal(attack.generate(x), found.images.numpy())
    np.testing.assert_array_equal(attack.perturb(torch.from_numpy(x)).numpy(), found.images.numpy())


def test_nothing_in_nothing_out():
    assert len(MinimumNorm(wrap(RowWise()), 2, 5, **QUIET).find(np.zeros((0, *SHAPE), np.float32))) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"norm": 3}, 'norm must be "inf", np.inf, 0, 1 or 2, got 3'),
        ({"norm": "0"}, "norm must be"),
        ({"norm": np.inf, "algorithm": "ddn"}, r"norm must be one of \[2.0\] for the algorithm 'ddn', got inf"),
        ({"algorithm": "fab"}, "algorithm must be one of"),
        ({"max_iter": 0}, "max_iter must be >= 1, got 0"),
        ({"minimal": False}, "minimal must be True: this attack finds nothing but the closest example"),
    ],
)
def test_what_has_no_sense_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        MinimumNorm(wrap(RowWise()), **options)


def test_empirical_robustness_is_arts_where_art_has_it():
    classifier, x = make_classifier(), some_images(6)
    for params in ({"eps": 1.0}, {"eps": 1.0, "norm": 2, "eps_step": 0.2}):
        theirs = by_name.empirical_robustness(classifier, x, "fgsm", params)
        assert empirical_robustness(classifier, x, "fgsm", params) == pytest.approx(theirs)
        minimal = FastGradientMethod(classifier, minimal=True, **{"eps_step": 0.1} | params)
        assert empirical_robustness(classifier, x, minimal) == pytest.approx(theirs)
    assert 0 < empirical_robustness(classifier, x, FGSM(classifier, norm="inf", eps=0.3)) < 1
    with pytest.raises(ValueError, match=r"attack must be one of .*got 'minimun'; did you mean 'minimum'"):
        empirical_robustness(classifier, x, "minimun")
    with pytest.raises(ValueError, match="attack_params must be None for an attack that is made already, got eps"):
        empirical_robustness(classifier, x, PGD(classifier), {"eps": 1})


def test_arts_table_of_names_takes_it(monkeypatch):
    classifier, x = make_classifier(), some_images(6)
    params = {"norm": 2, "max_iter": 60, **QUIET}
    monkeypatch.setitem(by_name.SUPPORTED_METHODS, "minimum", {"class": MinimumNorm})
    theirs = by_name.empirical_robustness(classifier, x, "minimum", params)
    assert empirical_robustness(classifier, x, "minimum", params) == pytest.approx(theirs)
    found = MinimumNorm(classifier, **params).find(x)
    relative = found.distances / np.linalg.norm(x.reshape(len(x), -1), axis=1)
    assert theirs == pytest.approx(relative.mean(), rel=1e-4)
    assert theirs <= by_name.empirical_robustness(classifier, x, "fgsm", {"eps": 20.0, "norm": 2, "eps_step": 0.05})
    crafted = by_name.adversarial_accuracy(classifier, x, attack_crafter=MinimumNorm(classifier, **params))
    assert crafted == 0

"""Half precision and compiled models: the same direction, and success judged in full precision."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand import PGD, AutoPGD, StrongestAttack

from support.attacks import SMALL, RowWise, fooled, predicted, some_images
from support.estimators import cnn, make_classifier, wrap

HALF = [None, torch.bfloat16, torch.float16]


class Faint(nn.Module):
    """Scores whose gradient with respect to a pixel is as small as 1e-7, below what float16 can hold."""

    def __init__(self, scale):
        super().__init__()
        self.inner, self.scale = cnn(), scale

    def forward(self, x):
        return self.inner(x) * self.scale


@pytest.mark.parametrize("loss", [None, "cross_entropy", "margin", "dlr"])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
@pytest.mark.parametrize("autocast", HALF)
def test_targeted_loss_falls_in_every_dtype(autocast, scale, loss):
    classifier, x = make_classifier(Faint(scale)), some_images(12)
    target = (predicted(classifier, x) + 1) % 4
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 5, "targeted": True, "autocast": autocast, "verbose": False}
    adv = PGD(classifier, loss=loss, keep_best=True, **options).generate(x, target)
    away, towards = (target_loss(classifier, images, target) for images in (x, adv))
    assert (towards < away).mean() >= 0.9
    assert towards.mean() < away.mean() - 0.3 * scale


def target_loss(classifier, x, target):
    """The margin of the best other class over the target: float32 cannot tell the softmax of tiny scores apart."""
    scores = torch.from_numpy(classifier.predict(x)).double()
    own = scores[torch.arange(len(x)), torch.from_numpy(target)]
    scores[torch.arange(len(x)), torch.from_numpy(target)] = -torch.inf
    return (scores.amax(1) - own).numpy()


class Centred(nn.Module):
    """A network of matrix products, which autocast computes in half precision, on images around zero."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(64, 16, bias=False), nn.Tanh(), nn.Linear(16, 4, bias=False))

    def forward(self, x):
        return self.inner(x - 0.5)


@pytest.mark.parametrize("autocast", HALF[1:])
def test_success_in_half_precision_is_success_in_full(autocast):
    """Whom early stopping let go is fooled for the estimator, which predicts in float32."""
    classifier, x = make_classifier(Centred()), some_images(60)
    y = predicted(classifier, x)
    options = SMALL | {"eps": 0.02, "eps_step": 0.004}
    full = fooled(classifier, PGD(classifier, early_stop=True, **options).generate(x, y), y)
    half = fooled(classifier, PGD(classifier, early_stop=True, autocast=autocast, **options).generate(x, y), y)
    assert 0 < full.sum() < 60
    assert (half != full).mean() <= 0.05
    auto = AutoPGD(classifier, eps=0.02, max_iter=10, autocast=autocast, seed=0, verbose=False).generate(x, y)
    assert fooled(classifier, auto, y).mean() >= full.mean() - 0.05


@pytest.mark.parametrize("kind", ["plain", "search", "AutoPGD", "strongest"])
def test_compiled_models_give_the_same(kind):
    classifier, x = make_classifier(), some_images(9)
    y = predicted(classifier, x)

    def attack(**options):
        return {
            "plain": lambda: PGD(classifier, **SMALL, **options),
            "search": lambda: PGD(classifier, **SMALL, early_stop=True, loss="dlr", **options),
            "AutoPGD": lambda: AutoPGD(classifier, eps=0.05, max_iter=8, seed=0, verbose=False, **options),
            "strongest": lambda: StrongestAttack(
                classifier, eps=0.05, budget="quick", seed=0, verbose=False, **options
            ),
        }[kind]()

    compiled = attack(compile="aot_eager")
    found, expected = compiled.generate(x, y), attack().generate(x, y)
    assert np.array_equal(fooled(classifier, found, y), fooled(classifier, expected, y))
    assert np.abs(found - expected).max() < 1e-5
    if kind == "search":
        kept = compiled._compiler._compiled
        assert np.array_equal(compiled.generate(x, y), found)
        assert compiled._compiler._compiled is kept, "compiled once"
        for other in (pickle.loads(pickle.dumps(compiled)), copy.deepcopy(compiled)):
            assert other._compiler._compiled is None
            assert np.array_equal(other.generate(x, y), found)


def test_overflow_in_float16_is_not_the_end():
    """Gradients of large scores leave float16's range once they are scaled up; the attack must still move."""

    class Loud(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = cnn()

        def forward(self, x):
            return self.inner(x) * 500

    classifier, x = make_classifier(Loud()), some_images(20)
    y = predicted(classifier, x)
    options = SMALL | {"loss": "margin", "early_stop": True}
    full = fooled(classifier, PGD(classifier, **options).generate(x, y), y).mean()
    half = fooled(classifier, PGD(classifier, autocast=torch.float16, **options).generate(x, y), y).mean()
    assert half >= full - 0.1


def test_own_row_wise_model_in_bfloat16():
    classifier, x = wrap(RowWise()), some_images(10)
    y = predicted(classifier, x)
    adv = StrongestAttack(classifier, eps=0.1, budget="quick", autocast=torch.bfloat16, seed=0, verbose=False).generate(
        x, y
    )
    assert fooled(classifier, adv, y).all()

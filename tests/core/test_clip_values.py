"""``clip_values`` in the shapes that ART takes: each is the same range, and one that is none is said at once."""

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand import FGSM, CompositeAttack, DomainAttack, DomainRandomization
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Attacked, InDomain
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.randomization import Brightness, Pipeline

from support.estimators import cnn, make_classifier

HIGH = np.array([1.0, 2.0, 0.5], np.float32).reshape(3, 1, 1)
X = np.random.default_rng(0).random((4, 3, 8, 8), dtype=np.float32) * HIGH
Y = np.arange(4)
EIGHT_BIT = np.random.default_rng(0).integers(0, 256, X.shape, np.uint8)
BRIGHT = Pipeline([Brightness((-0.2, 0.2))])
SHAPES = {
    "image": lambda bound: np.broadcast_to(bound, (3, 8, 8)),
    "batch axis": lambda bound: bound[None],
    "flat": lambda bound: np.broadcast_to(bound, (3, 8, 8)).reshape(-1),
}
USES = {
    "FGSM": lambda classifier: FGSM(classifier, eps=0.1).generate(X, Y),
    "DomainAttack": lambda classifier: DomainAttack(classifier, BRIGHT, evaluations=6, seed=0, verbose=False).generate(
        X, Y
    ),
    "CompositeAttack": lambda classifier: CompositeAttack(
        classifier, BRIGHT, eps=0.05, max_iter=2, evaluations=6, seed=0, verbose=False
    ).generate(X, Y),
    "DomainRandomization": lambda classifier: DomainRandomization(
        BRIGHT, clip_values=classifier.clip_values, seed=0, device_type="cpu"
    )(X)[0],
    "evaluate": lambda classifier: np.array(
        evaluate(classifier, [InDomain("night"), Attacked("fgsm", 0.05)], (X, Y), seed=0).outcomes.rows["linf"]
    ),
    "evaluate 8-bit images": lambda classifier: np.array(
        evaluate(classifier, InDomain("night"), (EIGHT_BIT, Y), seed=0, diagnosed=False).outcomes.rows["linf"]
    ),
}


def classifier(high):
    return make_classifier(cnn(3), input_shape=(3, 8, 8), clip_values=(np.zeros_like(high), high))


@pytest.mark.filterwarnings("ignore:data hold 8-bit images")
@pytest.mark.parametrize("use", USES)
def test_every_shape_is_the_same_range(use):
    expected = USES[use](classifier(HIGH))
    assert np.abs(expected).max() > 0
    for shape in SHAPES.values():
        np.testing.assert_array_equal(USES[use](classifier(np.ascontiguousarray(shape(HIGH)))), expected)


@pytest.mark.filterwarnings("ignore:data hold 8-bit images")
@pytest.mark.parametrize("use", USES)
def test_one_for_each_channel_that_does_not_broadcast_is_said(use):
    """ART refuses it, too: NumPy would lay it along the width."""
    rule = (
        r"clip_values must be numbers or broadcast to features \(3, 8, 8\), got shape \(3,\); .* has shape \(3, 1, 1\)"
    )
    with pytest.raises((ValueError, EvaluationError), match=rule):
        USES[use](classifier(HIGH.ravel()))
    with pytest.raises((ValueError, EvaluationError), match=r"features \(3, 8, 8\), got shape \(2, 3, 1, 1\)$"):
        USES[use](classifier(np.stack([HIGH, HIGH])))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of a radius that is wider than the range
def test_a_flat_model_takes_a_bound_for_each_feature():
    net = nn.Sequential(nn.Linear(3, 4))
    x = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).numpy() * HIGH.ravel()
    high = HIGH.ravel()
    flat = make_classifier(net, input_shape=(3,), clip_values=(np.zeros_like(high), high))
    adv = FGSM(flat, eps=3.0).generate(x, np.arange(5) % 4)
    assert ((adv == high) | (adv == 0)).all()

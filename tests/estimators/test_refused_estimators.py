"""An estimator that cannot be taken raises ART's own error, with a sentence that says what to do."""

import copy
import pickle

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from art.estimators.classification import BlackBoxClassifier, EnsembleClassifier
from art.estimators.classification.classifier import ClassGradientsMixin, ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.regression import PyTorchRegressor
from art.exceptions import EstimatorError

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    CompositeAttack,
    DomainAdversarialTrainer,
    DomainAttack,
    MinimumNorm,
    StrongestAttack,
    diagnose,
    fit_randomized,
)
from art_domainrand.estimators.refused import RefusedEstimatorError
from art_domainrand.randomization import Brightness

from support.estimators import CLASSES, SHAPE, make_classifier

BARE = torch.nn.Linear(2, 2)
BOX = BlackBoxClassifier(lambda x: np.eye(CLASSES)[: len(x)], SHAPE, CLASSES, clip_values=(0, 1))
REGRESSOR = PyTorchRegressor(torch.nn.Flatten(), torch.nn.MSELoss(), SHAPE, device_type="cpu")
X = np.zeros((2, *SHAPE), np.float32)

BY_GRADIENT = {
    "FGSM": FGSM,
    "PGD": PGD,
    "AutoPGD": AutoPGD,
    "StrongestAttack": StrongestAttack,
    "MinimumNorm": MinimumNorm,
    "CompositeAttack": lambda e: CompositeAttack(e, Brightness()),
}
OTHERS = {
    "DomainAttack": lambda e: DomainAttack(e, Brightness()),
    "trainer": lambda e: DomainAdversarialTrainer(e, FGSM(make_classifier())),
    "fit_randomized": lambda e: fit_randomized(e, X, np.zeros(2), randomization=Brightness()),
    "diagnose": lambda e: diagnose(e, X, np.zeros(2)),
}
BY_SCORES = ("AutoPGD", "StrongestAttack", "MinimumNorm")
CASES = [(name, BARE, "got Linear") for name in BY_GRADIENT | OTHERS]
CASES += [(name, BOX, "must have loss gradients .*SquareAttack") for name in BY_GRADIENT]
CASES += [(name, REGRESSOR, "must be a.* got PyTorchRegressor") for name in BY_SCORES]
CASES += [(name, REGRESSOR, "must be a.* got PyTorchRegressor") for name in ("CompositeAttack", "DomainAttack")]
CASES += [(name, REGRESSOR, "must be a.* got PyTorchRegressor") for name in ("trainer", "diagnose")]
CASES += [("fit_randomized", EnsembleClassifier([make_classifier()], channels_first=True), "must be no ensemble")]


@pytest.mark.parametrize(("name", "estimator", "sentence"), CASES)
def test_the_error_is_arts_and_the_sentence_ours(name, estimator, sentence):
    with pytest.raises(EstimatorError, match=sentence) as caught:
        (BY_GRADIENT | OTHERS)[name](estimator)
    assert isinstance(caught.value, TypeError)
    assert caught.value.classifier_given is estimator
    assert str(caught.value).startswith(("estimator must", "classifier must"))


def test_art_raises_the_same():
    with pytest.raises(EstimatorError):
        FastGradientMethod(BOX)


def test_the_error_survives_a_process_pool():
    error = RefusedEstimatorError("estimator must be another, got this", [BaseEstimator], BARE)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(twin) == "estimator must be another, got this"


class OnlyLossGradients(LossGradientsMixin, ClassifierMixin, BaseEstimator):
    """A classifier of two features whose scores are the features; it has no class gradients."""

    estimator_params = BaseEstimator.estimator_params
    input_shape = (2,)

    def __init__(self):
        super().__init__(model=None, clip_values=(0, 1))
        self._nb_classes = 2

    def fit(self, x, y, **kwargs):
        raise NotImplementedError

    def predict(self, x, **kwargs):
        return np.asarray(x, np.float32)

    def loss_gradient(self, x, y, **kwargs):
        return 1 - 2 * np.asarray(y, np.float32)


def test_an_attack_that_needs_class_gradients_says_so():
    assert not isinstance(OnlyLossGradients(), ClassGradientsMixin)
    x, y = np.array([[0.6, 0.4]], np.float32), np.array([0])
    np.testing.assert_allclose(FGSM(OnlyLossGradients(), eps=0.25).generate(x, y), [[0.35, 0.65]], atol=1e-6)
    with pytest.raises(ValueError, match=r"estimator must have class gradients .* got OnlyLossGradients; FGSM, PGD"):
        StrongestAttack(OnlyLossGradients(), verbose=False).generate(x, y)
    with pytest.raises(ValueError, match=r"estimator must have class gradients"):
        MinimumNorm(OnlyLossGradients(), verbose=False).generate(x, y)

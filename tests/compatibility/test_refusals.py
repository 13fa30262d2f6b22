"""Where ART's tools and ours do not fit, the error says what to use instead; these belong to no row."""

import numpy as np
import pytest
from art.estimators.classification import BlackBoxClassifier
from compatibility.contract import (
    ATTACKS,
    EPS,
    INDEX,
    X,
    Y,
    assert_attacked,
    classifier,
    one_draw,
    randomization,
)

from support.estimators import CLASSES, SHAPE


@pytest.mark.parametrize("name", ATTACKS)
def test_estimators_without_gradients(name):
    box = BlackBoxClassifier(lambda x: Y[: len(x)], SHAPE, CLASSES, clip_values=(0, 1))
    with pytest.raises(TypeError, match=r"estimator must have loss gradients .*SquareAttack or HopSkipJump"):
        ATTACKS[name](box)


@pytest.mark.parametrize("name", ["AutoPGD", "StrongestAttack"])
def test_attacks_that_drop_images_cannot_be_held_to_one_draw(name):
    defence = randomization()
    with one_draw(defence), pytest.raises(ValueError, match="FGSM, PGD, or AutoPGD with early_stop=False"):
        ATTACKS[name](classifier(defence), eps=EPS / 8).generate(X, INDEX)  # fools some of the images only


def test_what_the_error_says_instead_works():
    defence = randomization()
    estimator = classifier(defence)
    with one_draw(defence):
        adversarial = ATTACKS["AutoPGD"](estimator, early_stop=False).generate(X, INDEX)
        assert_attacked(X, adversarial)
        assert np.mean(estimator.compute_loss(adversarial, INDEX)) > np.mean(estimator.compute_loss(X, INDEX))

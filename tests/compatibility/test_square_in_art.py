"""Square beside parts of ART, those without gradients too; it asks no gradient, which the contract's rows are about."""

import numpy as np
import pytest
from art.attacks.evasion import AutoAttack
from art.defences.postprocessor import Rounded
from art.defences.preprocessor import FeatureSqueezing
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import BlackBoxClassifier, EnsembleClassifier
from art.metrics import adversarial_accuracy
from compatibility.contract import EPS, X, Y, assert_attacked, assert_same_training, classifier, randomization

from art_domainrand import PGD, DifferentiableDefence, Square, UnionAttack

QUERIES = {"max_iter": 60, "batch_size": len(X), "seed": 0, "verbose": False}

ESTIMATORS = {
    "PyTorchClassifier": classifier,
    "BlackBoxClassifier": lambda: BlackBoxClassifier(classifier().predict, X.shape[1:], 4, clip_values=(0.0, 1.0)),
    "EnsembleClassifier": lambda: EnsembleClassifier(
        [classifier(), classifier()], channels_first=True, clip_values=(0.0, 1.0)
    ),
    "NumPy defence": lambda: classifier(DifferentiableDefence(FeatureSqueezing((0, 1), bit_depth=6))),
    "postprocessor": lambda: classifier(postprocessing_defences=Rounded(decimals=2)),
    "randomization": lambda: classifier(randomization()),
}


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_it_keeps_is_worse_for_the_estimator_and_in_the_ball(name, targeted):
    estimator = ESTIMATORS[name]()
    y = estimator.predict(X).argmax(1)
    wanted = (y + 1) % 4 if targeted else y
    found = Square(estimator, eps=EPS, targeted=targeted, **QUERIES).generate(X, wanted)
    assert_attacked(X, found)

    def lead(x):
        scores = np.mean([estimator.predict(x) for _ in range(20 if name == "randomization" else 1)], axis=0)
        own = scores[np.arange(len(x)), wanted]
        return own - np.where(np.eye(4, dtype=bool)[wanted], -np.inf, scores).max(1)

    gain = (lead(found) - lead(X)) * (1 if targeted else -1)
    assert (gain > (0 if name != "randomization" else -0.1)).mean() >= 0.8


def test_inside_arts_autoattack_and_a_union():
    estimator = classifier()
    y = estimator.predict(X).argmax(1)
    square = Square(estimator, eps=EPS, **QUERIES)
    alone = estimator.predict(square.generate(X, y)).argmax(1) != y
    assert alone.any()
    auto = AutoAttack(estimator, eps=EPS, attacks=[square])
    np.testing.assert_array_equal(estimator.predict(auto.generate(X, y)).argmax(1) != y, alone)
    climbing = PGD(estimator, eps=EPS / 8, eps_step=EPS / 16, max_iter=3, verbose=False, seed=0)
    either = alone | (estimator.predict(climbing.generate(X, y)).argmax(1) != y)
    both = UnionAttack(estimator, [climbing, square], verbose=False).find(X, y)
    np.testing.assert_array_equal(both.fooled, either)


def test_arts_metric_and_trainer_take_it():
    estimator = classifier()
    y = estimator.predict(X).argmax(1)
    square = Square(estimator, eps=EPS, **QUERIES)
    stands = (estimator.predict(square.generate(X, y)).argmax(1) == y).mean()
    assert adversarial_accuracy(estimator, X, y, attack_crafter=square) == pytest.approx(stands)

    def fit(trained, which):
        attack = Square(trained, eps=EPS, **(QUERIES | {"max_iter": 5}))
        AdversarialTrainer(trained, attack, ratio=1.0).fit(X, Y, nb_epochs=1)

    assert_same_training(classifier(), classifier(), fit)

"""MinimumNorm beside parts of ART; it has no radius, which the rows of the contract are about."""

import numpy as np
import pytest
from art.defences.postprocessor import Rounded
from art.defences.preprocessor import FeatureSqueezing
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import EnsembleClassifier, SklearnClassifier
from compatibility.contract import INDEX, X, assert_same_training, classifier, randomization, weights
from sklearn.linear_model import LogisticRegression

from art_domainrand import DifferentiableDefence, MinimumNorm

FEW = {"max_iter": 30, "seed": 0, "verbose": False}


class Flat:
    """A linear model of scikit-learn on flattened images, through ART's NumPy gradients."""

    @staticmethod
    def made():
        model = LogisticRegression().fit(X.reshape(len(X), -1), INDEX)
        return SklearnClassifier(model, clip_values=(0.0, 1.0))


ESTIMATORS = {
    "EnsembleClassifier": lambda: EnsembleClassifier(
        [classifier(), classifier()], channels_first=True, clip_values=(0.0, 1.0)
    ),
    "NumPy defence": lambda: classifier(DifferentiableDefence(FeatureSqueezing((0, 1), bit_depth=6))),
    "postprocessor": lambda: classifier(postprocessing_defences=Rounded(decimals=2)),
    "randomization": lambda: classifier(randomization()),
    "scikit-learn": Flat.made,
}


@pytest.mark.parametrize("norm", [0, 1, 2, np.inf])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_it_finds_fools_the_estimator(name, norm):
    estimator = ESTIMATORS[name]()
    x = X.reshape(len(X), -1) if name == "scikit-learn" else X
    y = estimator.predict(x).argmax(1)
    options = FEW | ({"eot_samples": 2} if name == "randomization" else {})
    found = MinimumNorm(estimator, norm, **options).find(x, y)
    assert found.found.mean() >= 0.5
    moved = found.found & (found.distances > 0)
    fooled = np.mean([estimator.predict(found.images).argmax(1) != y for _ in range(5)], axis=0)
    assert (fooled[moved] >= (0.5 if name == "randomization" else 1)).all()
    change = (found.images.astype(np.float64) - x).reshape(len(x), -1)
    np.testing.assert_allclose(found.distances[moved], np.linalg.norm(change, norm, axis=1)[moved])


def test_arts_adversarial_trainer_trains_on_its_images():
    def fit(estimator, which):
        attack = MinimumNorm(estimator, 2, **FEW)
        AdversarialTrainer(estimator, attack, ratio=1.0).fit(X, np.eye(4, dtype=np.float32)[INDEX], nb_epochs=1)

    first, second = classifier(), classifier()
    assert_same_training(first, second, fit)


def test_the_weights_stay_as_they_are():
    estimator = classifier()
    before = weights(estimator)
    MinimumNorm(estimator, 1, **FEW).generate(X, INDEX)
    np.testing.assert_array_equal(weights(estimator), before)

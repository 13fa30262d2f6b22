"""Estimators that an attack or a trainer cannot take: one error, which says what to do instead."""

from collections.abc import Callable, Sequence
from typing import Any

from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.exceptions import EstimatorError

from art_domainrand.core.checks import Text, require

# What an attack may require of an estimator -> the rule for the user, and what to do instead.
ABILITIES: dict[type, str] = {
    LossGradientsMixin: "have loss gradients (attack a differentiable stand-in of it, or use ART's SquareAttack or "
    "HopSkipJump)",
    ClassifierMixin: "be a classifier (FGSM and PGD take regressors and object detectors too)",
}


class RefusedEstimatorError(EstimatorError):
    """ART's error for an estimator that an attack or trainer cannot take, with a sentence that says what to do."""

    def __init__(self, sentence: str, required: Sequence[Any] = (), estimator: Any = None) -> None:
        super().__init__(type(self), list(required), estimator)
        self.message = sentence
        self.args = (sentence,)  # so that it can be pickled

    @classmethod
    def of(cls, estimator: Any, required: Sequence[Any] = ()) -> Callable[[str], Exception]:
        """What makes the error for this estimator of a sentence."""
        return lambda sentence: cls(sentence, required, estimator)


def check_estimator(estimator: Any, required: tuple[Any, ...] = ()) -> None:
    """Refuse a bare PyTorch model, and an estimator without one of the ``required`` abilities; say what to do instead.

    :raises EstimatorError: naming the rule; a TypeError, and what ART's own attacks raise.
    """
    refused = RefusedEstimatorError.of(estimator, required)
    rule = "be an ART estimator (wrap a model in art.estimators.classification.PyTorchClassifier)"
    require(isinstance(estimator, BaseEstimator), "estimator", rule, Text(type(estimator).__name__), refused)
    for ability, rule in ABILITIES.items():
        able = ability not in required or isinstance(estimator, ability)
        require(able, "estimator", rule, Text(type(estimator).__name__), refused)

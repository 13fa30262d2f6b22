"""Rows of the contract: ART's metrics and its security curve."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from art import metrics
from art.evaluations.security_curve.security_curve import SecurityCurve
from art.metrics import metrics as by_name
from compatibility.contract import ATTACKS, INDEX, MakeAttack, N, Row, X, Y, classifier, name_of, seeded
from torch import nn

import art_domainrand
from art_domainrand import PGD, DomainRandomization
from art_domainrand.randomization import Contrast

from support.estimators import CLASSES, cnn


class Halving(nn.Module):
    """Halves the images; a defence that does the same must have the same effect on every number."""

    def forward(self, x: Any) -> Any:
        return 0.5 * x


def behind_half() -> Any:
    return classifier(DomainRandomization(Contrast(0.5, pivot=0.0), apply_predict=True, device_type="cpu"))


def with_half_inside() -> Any:
    return classifier(model=nn.Sequential(Halving(), seeded(cnn())))


def same_as_inside_the_model(measure: Callable[[Any], Any]) -> Callable[[], None]:
    """A number measured behind a fixed contrast is that of the model with the contrast inside."""

    def check() -> None:
        inside, outside = with_half_inside(), behind_half()
        outside.model.load_state_dict(inside.model[1].state_dict())
        found = []
        for estimator in (outside, inside):
            np.random.seed(0)
            found.append(np.asarray(measure(estimator), dtype=float))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-6)
        assert np.isfinite(found[0]).all()

    return check


def same_around_an_attack(measure: Callable[[Any], Any]) -> Callable[[MakeAttack], None]:
    """An attack leaves the number that ART measures as it was."""

    def check(make: MakeAttack) -> None:
        estimator, found = classifier(), []
        for _ in range(2):
            np.random.seed(0)
            found.append(measure(estimator))
            make(estimator).generate(X, INDEX)
        np.testing.assert_array_equal(found[0], found[1])

    return check


def empirical_robustness(estimator: Any, name: str = "FGSM") -> float:
    ours = {"class": getattr(art_domainrand, name), "params": {"eps_step": 0.1}}
    if name != "FGSM":
        ours = {"class": ATTACKS[name]}
    with mock.patch.dict(by_name.SUPPORTED_METHODS, {"ours": ours}):
        return metrics.empirical_robustness(estimator, X, "ours", {"eps": 1.0})


def empirical_robustness_with_attack(make: MakeAttack) -> None:
    """By name, with ART's own number, and that of its preset "fgsm"."""
    ours = empirical_robustness(classifier(), name_of(make))
    assert ours == pytest.approx(metrics.empirical_robustness(classifier(), X, "fgsm", {"eps": 1.0}), rel=1e-5)
    assert ours > 0


def adversarial_accuracy(estimator: Any, make: MakeAttack = ATTACKS["FGSM"]) -> float:
    return metrics.adversarial_accuracy(estimator, X, attack_crafter=make(estimator))


def adversarial_accuracy_with_attack(make: MakeAttack) -> None:
    estimator = classifier()
    y = estimator.predict(X).argmax(1)
    found = metrics.adversarial_accuracy(estimator, X, y, attack_crafter=make(estimator))
    after = estimator.predict(make(estimator).generate(X)).argmax(1)
    assert found == pytest.approx((after == y).mean())
    assert found < 1


def clever(estimator: Any) -> float:
    return metrics.clever_u(estimator, X[0], nb_batches=4, batch_size=4, radius=0.5, norm=2, verbose=False)


def loss_sensitivity(estimator: Any) -> float:
    return metrics.loss_sensitivity(estimator, X, Y)


def security_curve(estimator: Any, attack: Any = None) -> list[float]:
    """Accuracy on a grid of eps; ``attack`` takes the place of the PGD that ART has built in."""
    options = {"max_iter": 3, "eps_step": 0.04, "verbose": False, "batch_size": N}
    curve = SecurityCurve(eps=[0.05, 0.1])
    where = "art.evaluations.security_curve.security_curve.ProjectedGradientDescent"
    with mock.patch(where, attack) if attack else mock.MagicMock(), mock.patch.object(curve, "_check_gradient"):
        eps, adversarial, clean = curve.evaluate(
            estimator, X, np.eye(CLASSES)[estimator.predict(X).argmax(1)], **options
        )
    return [*eps, *adversarial, clean]


def security_curve_with_attack(make: MakeAttack) -> None:
    assert make is ATTACKS["PGD"]
    ours = security_curve(classifier(), PGD)
    np.testing.assert_allclose(ours, security_curve(classifier()))
    assert ours[3] < ours[-1]


ONE_DRAW = "yes; measured under single draws"

ROWS = [
    Row(
        "empirical_robustness",
        "metrics.empirical_robustness",
        ONE_DRAW,
        'FGSM and MinimumNorm by name: `SUPPORTED_METHODS["ours"] = {"class": FGSM}`; the others say so (ART sets '
        "`minimal`): our `empirical_robustness` takes them",
        same_as_inside_the_model(empirical_robustness),
        empirical_robustness_with_attack,
        refuses=dict.fromkeys(
            ("PGD", "AutoPGD", "StrongestAttack", "UnionAttack", "PerturbationGenerator"),
            "not supported|minimal|attacks inside",
        ),
    ),
    Row(
        "adversarial_accuracy",
        "metrics.adversarial_accuracy",
        ONE_DRAW,
        "as `attack_crafter`",
        same_as_inside_the_model(adversarial_accuracy),
        adversarial_accuracy_with_attack,
    ),
    Row(
        "loss_sensitivity",
        "metrics.loss_sensitivity",
        ONE_DRAW,
        "yes",
        same_as_inside_the_model(loss_sensitivity),
        same_around_an_attack(loss_sensitivity),
    ),
    Row(
        "clever",
        "metrics.clever_u",
        ONE_DRAW,
        "yes",
        same_as_inside_the_model(clever),
        same_around_an_attack(clever),
    ),
    Row(
        "security_curve",
        "SecurityCurve",
        ONE_DRAW,
        "PGD in place of the one ART has built in, by `mock.patch`",
        same_as_inside_the_model(security_curve),
        security_curve_with_attack,
        attacks=("PGD",),
    ),
]

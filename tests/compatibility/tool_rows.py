"""Rows of the contract: ART's attacks made of attacks, its metrics, and its summary writer."""

import copy
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from art import metrics
from art.attacks.evasion import (
    AutoAttack,
    CompositeAdversarialAttackPyTorch,
    FastGradientMethod,
    UniversalPerturbation,
)
from art.evaluations.security_curve.security_curve import SecurityCurve
from art.metrics import metrics as by_name
from art.summary_writer import SummaryWriterDefault
from compatibility.contract import (
    ATTACKS,
    EPS,
    INDEX,
    MakeAttack,
    N,
    Row,
    X,
    Y,
    assert_attacked,
    classifier,
    randomization,
    seeded,
)
from compatibility.trainer_rows import Idle
from torch import nn

from art_domainrand import PGD, CompositeAttack, DomainRandomization
from art_domainrand.randomization import Contrast, GaussianNoise, Rotation

from tests_support import CLASSES, cnn


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


def name_of(make: MakeAttack) -> str:
    return next(name for name, entry in ATTACKS.items() if entry is make)


def auto_attack_with_randomization() -> None:
    """ART takes one draw for the truth: an attack that does nothing at all "succeeds" on a random classifier."""
    strong = DomainRandomization([Rotation((-180, 180)), GaussianNoise(0.3)], seed=0, apply_predict=True)
    estimator = classifier(strong)
    y = classifier().predict(X).argmax(1)
    auto = AutoAttack(estimator, eps=EPS, attacks=[Idle(estimator) for _ in range(5)])
    np.testing.assert_array_equal(auto.generate(X, y), X)
    assert (auto.best_attacks >= 0).any()


def auto_attack_with_attack(make: MakeAttack) -> None:
    """Where ours succeeds AutoAttack returns its images; it also runs targeted, and is copied for ART's workers."""
    estimator = classifier()
    y = estimator.predict(X).argmax(1)
    auto = AutoAttack(estimator, eps=EPS, attacks=[make(estimator)])
    adversarial = auto.generate(X, y)
    fooled = estimator.predict(adversarial).argmax(1) != y
    expected = np.where(fooled[:, None, None, None], make(estimator).generate(X, y), X)
    np.testing.assert_allclose(adversarial, expected, atol=1e-6)
    assert fooled.any()
    np.testing.assert_array_equal(auto.best_attacks >= 0, fooled)
    targeted = AutoAttack(estimator, eps=EPS, attacks=[make(estimator)], targeted=True)
    assert_attacked(X, targeted.generate(X, y))
    twin = copy.deepcopy(make(estimator))
    np.testing.assert_array_equal(twin.generate(X, y), make(estimator).generate(X, y))


RGB = np.random.default_rng(3).random((N, 3, 8, 8), dtype=np.float32)


def colour_classifier(defence: Any = None) -> Any:
    return classifier(defence, cnn(channels=3), input_shape=(3, 8, 8))


def composite(estimator: Any) -> Any:
    return CompositeAdversarialAttackPyTorch(
        estimator, max_iter=1, max_inner_iter=1, batch_size=N, attack_order="fixed", verbose=False
    )


def composite_with_randomization() -> None:
    """ART's calls the bare model; ours finds domain and pixels through the estimator's own defences."""
    found = []
    for defence in (randomization(), None):
        torch.manual_seed(0)
        found.append(composite(colour_classifier(defence)).generate(RGB, INDEX))
    np.testing.assert_array_equal(*found)
    defence = randomization()
    estimator = colour_classifier(defence)
    forward, shown = defence.forward, []
    defence.forward = lambda x, y=None: shown.append(x.requires_grad) or forward(x, y)
    ours = CompositeAttack(
        estimator, [Rotation((-10, 10)), Contrast((0.8, 1.2))], eps=EPS, max_iter=1, verbose=False, seed=0
    )
    assert ours.generate(RGB, INDEX).shape == RGB.shape
    assert any(shown), "gradients go through the defence"


def composite_with_attack(make: MakeAttack) -> None:
    """ART's has its own PGD inside; ours goes on from its images."""
    estimator = colour_classifier()
    start = np.clip(composite(estimator).generate(RGB, INDEX), 0, 1)
    adversarial = make(estimator).generate(start, INDEX)
    assert_attacked(start, adversarial)
    assert (estimator.compute_loss(adversarial, INDEX).mean() > estimator.compute_loss(start, INDEX)).any()


PARAMETERS = {
    "FGSM": {"eps": EPS},
    "PGD": {"eps": EPS, "eps_step": 0.04, "max_iter": 3, "verbose": False},
    "AutoPGD": {"eps": EPS, "max_iter": 3, "nb_random_init": 1, "verbose": False},
    "StrongestAttack": {"eps": EPS, "budget": "quick", "verbose": False},
}


def universal(estimator: Any, name: str) -> float:
    """ART's attack by name: its table of names takes ours, and its dictionary of parameters sets them."""
    attack = UniversalPerturbation(
        estimator, attacker="ours", attacker_params=PARAMETERS[name], eps=2 * EPS, max_iter=2, delta=0.01, verbose=False
    )
    attack.attacks_dict = attack.attacks_dict | {"ours": f"art_domainrand.{name}"}
    adversarial = attack.generate(X, estimator.predict(X).argmax(1))
    np.testing.assert_allclose(adversarial, X + attack.noise, atol=1e-6)
    assert 0 < np.abs(attack.noise).max() <= 2 * EPS + 1e-6
    return attack.fooling_rate


def universal_with_randomization() -> None:
    """Its one perturbation leaves the range; a random classifier is attacked as it is without its randomization."""
    random.seed(0)
    trained_at_random = universal(classifier(randomization(apply_predict=False), clip_values=None), "PGD")
    random.seed(0)
    assert universal(classifier(clip_values=None), "PGD") == trained_at_random > 0
    with pytest.raises(ValueError, match=r"UniversalPerturbation.*apply_predict=False"):
        universal(classifier(randomization(), clip_values=None), "PGD")


def universal_with_attack(make: MakeAttack) -> None:
    assert universal(classifier(clip_values=None), name_of(make)) > 0
    with pytest.raises(ValueError, match=r"clip x, or attack an estimator with clip_values=None"):
        universal(classifier(), name_of(make))


def empirical_robustness(estimator: Any, name: str = "FGSM") -> float:
    ours = {"class": getattr(__import__("art_domainrand"), name), "params": {"eps_step": 0.1}}
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


def summary_writer_with_randomization() -> None:
    with tempfile.TemporaryDirectory() as folder:
        estimator = classifier(randomization())
        PGD(estimator, eps=EPS, max_iter=2, verbose=False, summary_writer=folder).generate(X, INDEX)
        assert list(Path(folder).rglob("events*"))


def summary_writer_with_attack(make: MakeAttack) -> None:
    """A folder, or a writer of the user's; its scalars are those of ART's own attack."""
    with tempfile.TemporaryDirectory() as folder:
        attack = make(classifier(), summary_writer=folder)
        attack.generate(X, INDEX)
        assert list(Path(folder).rglob("events*"))
        attack = make(classifier(), summary_writer=SummaryWriterDefault(str(Path(folder) / "own")))
        with mock.patch.object(attack.summary_writer, "update") as written:
            attack.generate(X, INDEX)
        reference = FastGradientMethod(classifier(), eps=EPS, batch_size=N, summary_writer=folder)
        with mock.patch.object(reference.summary_writer, "update") as by_art:
            reference.generate(X, INDEX)
        ours, theirs = written.call_args_list[0].kwargs, by_art.call_args_list[0].kwargs
        np.testing.assert_allclose(ours["grad"], theirs["grad"], atol=1e-6)
        assert set(ours) == set(theirs)


ONE_DRAW = "yes; measured under single draws"

ROWS = [
    Row(
        "auto_attack",
        "AutoAttack",
        "ART judges by one draw, so that doing nothing succeeds: use StrongestAttack, which confirms by fresh ones",
        "among its `attacks`, targeted too",
        auto_attack_with_randomization,
        auto_attack_with_attack,
        elsewhere=("test_estimators.py::test_inside_arts_own_tools",),
    ),
    Row(
        "composite",
        "CompositeAdversarialAttackPyTorch",
        "ART calls the model past all defences: use CompositeAttack",
        "they go on from its images",
        composite_with_randomization,
        composite_with_attack,
    ),
    Row(
        "universal",
        "UniversalPerturbation",
        "with `apply_predict=False`: its sums leave `clip_values`",
        'by name, `attacks_dict["ours"] = "art_domainrand.PGD"`, on an estimator with `clip_values=None`',
        universal_with_randomization,
        universal_with_attack,
    ),
    Row(
        "empirical_robustness",
        "metrics.empirical_robustness",
        ONE_DRAW,
        'FGSM by name: `SUPPORTED_METHODS["ours"] = {"class": FGSM}`; the others say so (ART sets `minimal`)',
        same_as_inside_the_model(empirical_robustness),
        empirical_robustness_with_attack,
        refuses=dict.fromkeys(("PGD", "AutoPGD", "StrongestAttack"), "not supported|minimal"),
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
    Row(
        "summary_writer",
        "SummaryWriterDefault",
        "yes",
        "FGSM, PGD; the others say so",
        summary_writer_with_randomization,
        summary_writer_with_attack,
        refuses=dict.fromkeys(("AutoPGD", "StrongestAttack"), "FGSM and PGD take a summary_writer"),
        elsewhere=("test_estimators.py::test_summary_writer",),
    ),
]

"""Rows of the contract: ART's attacks made of attacks, its metrics, and its summary writer."""

import copy
import random
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from art.attacks.evasion import (
    AutoAttack,
    CompositeAdversarialAttackPyTorch,
    FastGradientMethod,
    UniversalPerturbation,
)
from art.summary_writer import SummaryWriterDefault
from compatibility.contract import (
    EPS,
    INDEX,
    SINGLE,
    MakeAttack,
    N,
    Row,
    X,
    assert_attacked,
    classifier,
    name_of,
    randomization,
)
from compatibility.estimator_rows import OUTSIDE
from compatibility.trainer_rows import Idle

from art_domainrand import PGD, CompositeAttack, DomainRandomization
from art_domainrand.randomization import Contrast, GaussianNoise, Rotation

from support.estimators import cnn


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
    "PerturbationGenerator": {"eps": EPS, "verbose": False},
}


def universal(estimator: Any, name: str) -> float:
    """ART's attack by name: its table of names takes ours, and its dictionary of parameters sets them."""
    attack = UniversalPerturbation(
        estimator, attacker="ours", attacker_params=PARAMETERS[name], eps=2 * EPS, max_iter=2, delta=0.01, verbose=False
    )
    attack.attacks_dict = attack.attacks_dict | {"ours": f"art_domainrand.{name}"}
    adversarial = attack.generate(X, estimator.predict(X).argmax(1))
    shown = X + attack.noise
    np.testing.assert_allclose(adversarial, shown if estimator.clip_values is None else shown.clip(0, 1), atol=1e-6)
    assert 0 < np.abs(attack.noise).max() <= 2 * EPS + 1e-6
    return attack.fooling_rate


def universal_with_randomization() -> None:
    """Its one perturbation leaves the range; a classifier trained at random is attacked as one that was not."""
    random.seed(0)
    trained_at_random = universal(classifier(randomization(apply_predict=False), clip_values=None), "PGD")
    random.seed(0)
    assert universal(classifier(clip_values=None), "PGD") == trained_at_random > 0
    with pytest.warns(RuntimeWarning, match=OUTSIDE):
        assert universal(classifier(randomization()), "PGD") > 0


def universal_with_attack(make: MakeAttack) -> None:
    """Its sums leave the range; by PGD they are those that ART's own PGD makes."""
    assert universal(classifier(clip_values=None), name_of(make)) > 0
    with pytest.warns(RuntimeWarning, match=OUTSIDE):
        assert universal(classifier(), name_of(make)) > 0
    if name_of(make) == "PGD":
        options = {"eps": 2 * EPS, "max_iter": 2, "delta": 0.01, "verbose": False, "attacker_params": PARAMETERS["PGD"]}
        noises = []
        for path in ("art_domainrand.PGD", "art.attacks.evasion.ProjectedGradientDescent"):
            random.seed(0)
            attack = UniversalPerturbation(classifier(), attacker="ours", **options)
            attack.attacks_dict = attack.attacks_dict | {"ours": path}
            attack.generate(X, INDEX)
            noises.append(attack.noise)
        np.testing.assert_allclose(*noises, atol=1e-6)


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
        "yes; its sums are clipped to `clip_values` first",
        'by name, `attacks_dict["ours"] = "art_domainrand.PGD"`; PerturbationGenerator, of which ART makes one that is '
        "not fitted, says so",
        universal_with_randomization,
        universal_with_attack,
        refuses={"PerturbationGenerator": "be fitted first"},
        attacks=SINGLE,  # a union is made of objects, not of parameters
    ),
    Row(
        "summary_writer",
        "SummaryWriterDefault",
        "yes",
        "FGSM, PGD; the others say so",
        summary_writer_with_randomization,
        summary_writer_with_attack,
        refuses=dict.fromkeys(
            ("AutoPGD", "StrongestAttack", "UnionAttack", "PerturbationGenerator"), "FGSM and PGD take a summary_writer"
        ),
        elsewhere=("test_estimators.py::test_summary_writer",),
    ),
]

"""Rows of the contract: ART's other PyTorch estimators with class scores or numbers as outputs."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.estimators.certification.randomized_smoothing.smooth_adv.pytorch import PyTorchSmoothAdv
from art.estimators.classification import EnsembleClassifier, PyTorchClassifier
from art.estimators.classification.hugging_face import HuggingFaceClassifierPyTorch
from art.estimators.regression import PyTorchRegressor
from compatibility.classifier_rows import fit, in_plain_torch
from compatibility.contract import (
    ATTACKS,
    EPS,
    INDEX,
    NEEDS_CLASSES,
    SINGLE,
    MakeAttack,
    N,
    Row,
    X,
    Y,
    assert_attacked,
    assert_same_training,
    attack_raises_the_loss,
    classifier,
    held_loss,
    name_of,
    one_draw,
    randomization,
    seeded,
    weights,
)
from compatibility.metric_rows import with_half_inside
from torch import nn

from art_domainrand import DomainRandomization
from art_domainrand.randomization import Contrast

from support.estimators import CLASSES, SHAPE, cnn


class WithLogits(nn.Module):
    """Answers as the models of transformers do, with an object that holds the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = seeded(cnn())

    def forward(self, pixel_values: torch.Tensor) -> Any:
        return SimpleNamespace(logits=self.inner(pixel_values))


def built(kind: type, model: nn.Module, defence: Any = None, loss: Any = None, **kwargs: Any) -> Any:
    return kind(
        model,
        nn.CrossEntropyLoss() if loss is None else loss,
        input_shape=SHAPE,
        optimizer=torch.optim.SGD(model.parameters(), 0.05),
        device_type="cpu",
        **({"clip_values": (0, 1), "preprocessing_defences": defence} | kwargs),
    )


def hugging_face(defence: Any = None, **kwargs: Any) -> Any:
    return built(HuggingFaceClassifierPyTorch, WithLogits(), defence, nb_classes=CLASSES, **kwargs)


def hugging_face_with_randomization() -> None:
    assert_same_training(hugging_face(randomization()), classifier(randomization()), lambda e, _: fit(e))
    defence = randomization()
    estimator, plain = hugging_face(defence), classifier(defence)
    with one_draw(defence):
        np.testing.assert_allclose(estimator.predict(X), plain.predict(X), atol=1e-5)
        np.testing.assert_allclose(estimator.loss_gradient(X, Y), plain.loss_gradient(X, Y), atol=1e-6)


def hugging_face_with_attack(make: MakeAttack) -> None:
    """The attack of a model that holds its logits in an object is that of the bare model, also behind a processor."""
    expected = make(classifier()).generate(X, INDEX)
    np.testing.assert_allclose(make(hugging_face()).generate(X, INDEX), expected, atol=1e-6)
    processed = make(hugging_face(processor=lambda x: 0.5 * x)).generate(X, INDEX)
    np.testing.assert_allclose(processed, make(with_half_inside()).generate(X, INDEX), atol=1e-6)
    defence = randomization()
    attack_raises_the_loss(hugging_face(defence), make, defence)


def ensemble(members: list[Any], **kwargs: Any) -> EnsembleClassifier:
    return EnsembleClassifier(members, channels_first=True, clip_values=(0, 1), **kwargs)


def ensemble_with_randomization() -> None:
    with pytest.raises(NotImplementedError, match="Preprocessing is not applicable"):
        ensemble([classifier()], preprocessing_defences=[randomization()])
    defence = randomization()
    members = [classifier(defence), classifier(defence, model=wide())]
    with one_draw(defence):
        mean = (members[0].predict(X) + members[1].predict(X)) / 2
        np.testing.assert_allclose(ensemble(members).predict(X), mean, atol=1e-5)


def wide() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))


def ensemble_with_attack(make: MakeAttack) -> None:
    """What fools the mean of two members raises their mean loss, behind the randomization of each."""
    defence = randomization()
    members = [classifier(defence), classifier(defence, model=wide())]
    adversarial = make(ensemble(members), eps=2 * EPS).generate(X, INDEX)
    assert_attacked(X, adversarial, 2 * EPS)
    assert sum(held_loss(m, defence, adversarial) - held_loss(m, defence, X) for m in members) > 0


def smoothing(defence: Any = None, scale: float = 0.05, **kwargs: Any) -> Any:
    options: dict[str, Any] = {"nb_classes": CLASSES, "sample_size": 20, "scale": scale, "alpha": 0.5} | kwargs
    return built(PyTorchRandomizedSmoothing, seeded(cnn()), defence, **options)


OUTSIDE = "x should lie within clip_values"  # what ART's noise makes of the images, said once


def smoothing_with_randomization() -> None:
    once = randomization()(X)[0]
    assert_same_training(
        smoothing(randomization(apply_predict=False)), smoothing(), lambda e, which: fit(e, once if which else X)
    )
    assert smoothing(randomization(apply_predict=False)).predict(X).shape == (N, CLASSES)
    with pytest.warns(RuntimeWarning, match=OUTSIDE):
        assert smoothing(randomization()).predict(X).shape == (N, CLASSES)
    defence = randomization()  # its first draw is the first of another with the same seed
    gradient = smoothing(defence, scale=1e-6).loss_gradient(X, Y, sampling=True)
    truth = randomization()
    expected = in_plain_torch(
        lambda images, scores: torch.autograd.grad(
            nn.functional.cross_entropy(scores, torch.from_numpy(INDEX)), images
        )[0],
        truth.sample(N),
        truth,
    )
    np.testing.assert_allclose(gradient, expected, rtol=1e-2, atol=1e-4)
    with pytest.raises(NotImplementedError):
        smoothing().class_gradient(X)


def smoothing_with_attack(make: MakeAttack) -> None:
    """ART's smoothed prediction adds its noise before preprocessing, and the attacks that judge by it meet that."""
    attack_raises_the_loss(smoothing(), make)
    defence = randomization()
    judges = name_of(make) not in ("FGSM", "PGD", "PerturbationGenerator")
    with pytest.warns(RuntimeWarning, match=OUTSIDE) if judges else nullcontext():
        attack_raises_the_loss(smoothing(defence), make, defence)


def smooth_adv(defence: Any = None, **kwargs: Any) -> Any:
    options: dict[str, Any] = {"epsilon": np.inf, "warmup": 1, "num_steps": 1, "scale": 0.02} | kwargs
    return built(PyTorchSmoothAdv, seeded(cnn()), defence, nb_classes=CLASSES, **options)


def smooth_adv_with_randomization() -> None:
    once = randomization()(X)[0]

    def train(estimator: Any, which: int) -> None:
        estimator.attack = ProjectedGradientDescent(classifier(clip_values=None), eps=EPS, max_iter=1, verbose=False)
        fit(estimator, once if which else X)

    assert_same_training(smooth_adv(randomization(apply_predict=False)), smooth_adv(), train)
    noisy = smooth_adv(randomization())  # ART's attack shows its noisy images to a defence that runs in prediction
    before = weights(noisy)
    with pytest.warns(RuntimeWarning, match=OUTSIDE):
        fit(noisy)
    assert np.abs(weights(noisy) - before).max() > 1e-4


def assert_as_far(make: MakeAttack, distance: float) -> None:
    """As far as eps, or not much less: what a network makes of an image need not touch the bound."""
    least = EPS / 2 if name_of(make) == "PerturbationGenerator" else EPS
    assert least * (1 - 1e-5) <= distance <= EPS * (1 + 1e-5)


def smooth_adv_with_attack(make: MakeAttack) -> None:
    """SmoothAdv's noise leaves [0, 1]: attacked within eps all the same, PGD as ART's own; epsilon must be a norm."""
    estimator = smooth_adv()
    calls: list[np.ndarray] = []
    estimator.attack = make(built(PyTorchClassifier, estimator.model, nb_classes=CLASSES, clip_values=None))
    generate = estimator.attack.generate
    estimator.attack.generate = lambda x, y=None: calls.append(generate(x, y) - x) or calls[-1] + x
    fit(estimator)
    assert len(calls) == 2
    assert_as_far(make, max(np.abs(delta).max() for delta in calls))
    inside, calls = smooth_adv(), []
    inside.attack = make(classifier())
    generate = inside.attack.generate
    inside.attack.generate = lambda x, y=None: calls.append((x, generate(x, y))) or calls[-1][1]
    with pytest.warns(RuntimeWarning, match=OUTSIDE):
        fit(inside)
    assert_as_far(make, max(np.abs(adversarial - x).max() for x, adversarial in calls))
    if make is ATTACKS["PGD"]:
        art = ProjectedGradientDescent(classifier(), eps=EPS, eps_step=0.04, max_iter=3, verbose=False)
        for x, adversarial in calls:
            np.testing.assert_allclose(generate(x, INDEX[: len(x)]), art.generate(x, INDEX[: len(x)]), atol=1e-6)
            assert adversarial.shape == x.shape
    small = smooth_adv(epsilon=0.5)
    small.attack = make(classifier(clip_values=None))
    if "norm" not in small.attack.attack_params:  # a union has none that could be mistaken
        return
    with pytest.raises(ValueError, match=r"norm must be.*SmoothAdv writes its epsilon here"):
        fit(small)


TARGETS = np.random.default_rng(2).random((N, 1), dtype=np.float32)


def regressor(defence: Any = None) -> Any:
    model = seeded(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 1), nn.Unflatten(1, (1,)))
    )
    return built(PyTorchRegressor, model, defence, nn.MSELoss())


def regressor_with_randomization() -> None:
    once = randomization()(X)[0]
    assert_same_training(
        regressor(randomization()),
        regressor(),
        lambda e, which: e.fit(once if which else X, TARGETS, batch_size=3, nb_epochs=1),
    )
    defence = randomization()
    with one_draw(defence):
        shown = defence(X)[0]
        np.testing.assert_allclose(regressor(defence).predict(X), regressor().predict(shown), atol=1e-5)
    half = DomainRandomization(Contrast(0.5, pivot=0.0), apply_predict=True)
    np.testing.assert_allclose(
        regressor(half).loss_gradient(X, TARGETS), 0.5 * regressor().loss_gradient(0.5 * X, TARGETS), atol=1e-6
    )


def regressor_with_attack(make: MakeAttack) -> None:
    for defence in (None, randomization()):
        estimator = regressor(defence)
        adversarial = make(estimator).generate(X, TARGETS)
        assert_attacked(X, adversarial)
        assert held_loss(estimator, defence, adversarial, TARGETS) > held_loss(estimator, defence, X, TARGETS)


ROWS = [
    Row(
        "hugging_face",
        "HuggingFaceClassifierPyTorch",
        "as PyTorchClassifier",
        "as PyTorchClassifier, through the `processor`",
        hugging_face_with_randomization,
        hugging_face_with_attack,
    ),
    Row(
        "ensemble",
        "EnsembleClassifier",
        "in its members; ART allows none on the ensemble itself",
        "yes, through its members' randomization",
        ensemble_with_randomization,
        ensemble_with_attack,
        elsewhere=("test_estimators.py::test_estimator_is_as_found",),
    ),
    Row(
        "smoothing",
        "PyTorchRandomizedSmoothing",
        "yes; its noise is clipped to `clip_values` first; ART has no `class_gradient`",
        "yes",
        smoothing_with_randomization,
        smoothing_with_attack,
        elsewhere=("test_estimators.py::test_randomized_smoothing",),
        attacks=SINGLE,
    ),
    Row(
        "smooth_adv",
        "PyTorchSmoothAdv",
        "yes; its noise is clipped to `clip_values` first",
        "yes; `epsilon=2` or `np.inf` (ART writes it into `attack.norm`)",
        smooth_adv_with_randomization,
        smooth_adv_with_attack,
    ),
    Row(
        "regressor",
        "PyTorchRegressor",
        "yes; targets stay as they are",
        "FGSM, PGD; the others say that they need a classifier",
        regressor_with_randomization,
        regressor_with_attack,
        refuses=NEEDS_CLASSES,
    ),
]

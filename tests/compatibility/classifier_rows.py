"""Rows of the contract: the methods of ART's PyTorchClassifier."""

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.data_generators import PyTorchDataGenerator
from compatibility.contract import (
    INDEX,
    SINGLE,
    MakeAttack,
    N,
    Row,
    X,
    Y,
    assert_same_training,
    attack_raises_the_loss,
    classifier,
    one_draw,
    randomization,
    seen_by_the_model,
    weights,
)
from torch.nn.functional import cross_entropy

from art_domainrand.randomization import Brightness
from art_domainrand.training.data.generator import RandomizedDataGenerator
from art_domainrand.training.fitting import fit_randomized

from support.estimators import CLASSES, cnn


def fit(estimator: Any, x: np.ndarray = X, **kwargs: Any) -> None:
    estimator.fit(x, Y, **{"batch_size": 3, "nb_epochs": 1, "verbose": False} | kwargs)


def loader(x: np.ndarray = X) -> PyTorchDataGenerator:
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(Y))
    return PyTorchDataGenerator(torch.utils.data.DataLoader(data, batch_size=3), N, 3)


def distinct_images(estimator: Any, train: Callable[[], None]) -> int:
    """How many different images the model is shown in training mode by ``train()``."""
    seen: list[torch.Tensor] = []
    first = next(estimator.model.children())  # ART calls the members of an nn.Sequential one by one
    hook = first.register_forward_pre_hook(
        lambda module, args: seen.extend(args[0].detach().clone()) if module.training else None
    )
    train()
    hook.remove()
    return len(torch.unique(torch.stack(seen).flatten(1), dim=0))


def fit_trains_on_the_randomized_images() -> None:
    once = randomization()(X)[0]
    assert_same_training(
        classifier(randomization()), classifier(), lambda estimator, which: fit(estimator, once if which else X)
    )


def fit_draws_once_and_fit_randomized_in_every_epoch() -> None:
    defence = randomization()
    estimator = classifier(defence)
    assert distinct_images(estimator, lambda: fit(estimator, nb_epochs=3)) == N, "ART preprocesses once for all epochs"
    estimator = classifier()
    shown = distinct_images(
        estimator, lambda: fit_randomized(estimator, X, Y, randomization=defence, batch_size=3, nb_epochs=3)
    )
    assert shown == 3 * N


def fit_with_randomization() -> None:
    fit_trains_on_the_randomized_images()
    fit_draws_once_and_fit_randomized_in_every_epoch()


def trains_as_if_never_attacked(train: Callable[[Any], None]) -> Callable[[MakeAttack], None]:
    """Training after an attack, and between two, ends in the same weights as without."""

    def check(make: MakeAttack) -> None:
        def step(estimator: Any, attacked: int) -> None:
            for _ in range(2):
                if attacked:
                    make(estimator).generate(X, INDEX)
                torch.manual_seed(0)
                train(estimator)

        assert_same_training(classifier(), classifier(), step)

    return check


def fit_generator_with_randomization() -> None:
    assert_same_training(
        classifier(randomization()), classifier(), lambda estimator, _: estimator.fit_generator(loader(), nb_epochs=1)
    )
    estimator = classifier()
    generator = RandomizedDataGenerator(X, Y, batch_size=N, randomization=randomization(), proportions=(0, 1, 0))
    assert distinct_images(estimator, lambda: estimator.fit_generator(generator, nb_epochs=3)) == 3 * N


def fit_generator_with_attack(make: MakeAttack) -> None:
    trains_as_if_never_attacked(lambda estimator: estimator.fit_generator(loader(), nb_epochs=1))(make)
    estimator = classifier()
    generator = RandomizedDataGenerator(
        X,
        INDEX,
        batch_size=2 * N,
        randomization=Brightness(0.0),
        attack=make(estimator),
        proportions=(1, 0, 1),
        shuffle=False,
    )
    x, y = generator.get_batch()
    np.testing.assert_array_equal(x[:N], X)
    np.testing.assert_array_equal(y[N:], INDEX)
    assert (estimator.compute_loss(x[N:], INDEX) > estimator.compute_loss(X, INDEX)).mean() > 0.6


def in_plain_torch(observe: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], draw: Any, defence: Any) -> Any:
    """``observe(images, scores)`` of the model behind a held draw, without ART."""
    images = torch.from_numpy(X).requires_grad_()
    scores = classifier().model(seen_by_the_model(defence, draw, images))
    return observe(images, scores).detach().numpy()


def of_classes(images: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    rows = [torch.autograd.grad(scores[:, k].sum(), images, retain_graph=True)[0] for k in range(CLASSES)]
    return torch.stack(rows, dim=1)


LABELS = torch.from_numpy(INDEX)

OBSERVATIONS: dict[str, tuple[Callable[[Any, np.ndarray], Any], Any]] = {
    "predict": (lambda e, x: e.predict(x, batch_size=2), lambda images, scores: scores),
    "compute_loss": (
        lambda e, x: e.compute_loss(x, Y, reduction="none"),
        lambda images, scores: cross_entropy(scores, LABELS, reduction="none"),
    ),
    "loss_gradient": (
        lambda e, x: e.loss_gradient(x, Y),
        lambda images, scores: torch.autograd.grad(cross_entropy(scores, LABELS), images)[0],
    ),
    "class_gradient": (lambda e, x: e.class_gradient(x), of_classes),
}


def equals_plain_torch(name: str) -> Callable[[], None]:
    """What ART returns for a held draw is what the pipeline and the model give by themselves."""
    by_art, truth = OBSERVATIONS[name]

    def check() -> None:
        defence = randomization()
        estimator = classifier(defence)
        with one_draw(defence) as draw:
            expected = in_plain_torch(truth, draw, defence)
            np.testing.assert_allclose(by_art(estimator, X), expected, rtol=1e-4, atol=1e-5)
        assert not np.allclose(by_art(estimator, X), expected, rtol=1e-4, atol=1e-5), "a fresh draw after the block"

    return check


def same_around_an_attack(name: str) -> Callable[[MakeAttack], None]:
    """An attack through the randomization raises the loss, and afterwards ART returns the same as before."""
    by_art, _ = OBSERVATIONS[name]

    def check(make: MakeAttack) -> None:
        defence = randomization()
        estimator = classifier(defence)
        with one_draw(defence) as draw:
            before = by_art(estimator, X)
        adversarial = attack_raises_the_loss(estimator, make, defence)
        with defence.replay(draw):
            np.testing.assert_array_equal(by_art(estimator, X), before)
            assert not np.allclose(by_art(estimator, adversarial), before)

    return check


def reloaded(saved: Any, folder: str, defence: Any = None) -> Any:
    saved.save("model", folder)
    model = cnn()
    model.load_state_dict(torch.load(f"{folder}/model.model", weights_only=True))
    fresh = classifier(defence)
    fresh.model.load_state_dict(model.state_dict())
    return fresh


def save_with_randomization() -> None:
    defence = randomization()
    estimator = classifier(defence)
    fit(estimator)
    with tempfile.TemporaryDirectory() as folder:
        again = reloaded(estimator, folder, defence)
    with one_draw(defence):
        np.testing.assert_array_equal(again.predict(X), estimator.predict(X))


def save_with_attack(make: MakeAttack) -> None:
    estimator = classifier()
    fit(estimator)
    first = make(estimator).generate(X, INDEX)
    with tempfile.TemporaryDirectory() as folder:
        again = reloaded(estimator, folder)
    np.testing.assert_array_equal(make(again).generate(X, INDEX), first)


def clone_with_randomization() -> None:
    """The clone has fresh weights of its own, and the very same defence: a draw held is held for both."""
    defence = randomization()
    estimator = classifier(defence)
    clone = estimator.clone_for_refitting()  # whose weights are reset
    assert not np.array_equal(weights(clone), weights(estimator))
    clone.model.load_state_dict(estimator.model.state_dict())
    with one_draw(defence):
        np.testing.assert_allclose(clone.predict(X), estimator.predict(X), atol=1e-6)
    before = weights(estimator)
    fit(clone)
    np.testing.assert_array_equal(weights(estimator), before)
    assert not np.array_equal(weights(clone), before)


def clone_with_attack(make: MakeAttack) -> None:
    estimator = classifier()
    clone = estimator.clone_for_refitting()
    np.random.seed(0)
    attack_raises_the_loss(clone, make)
    np.testing.assert_array_equal(weights(estimator), weights(classifier()))


ROWS = [
    Row(
        "fit",
        "PyTorchClassifier.fit",
        "trains on it; ART draws once per call: `fit_randomized` draws in every epoch",
        "training is as if never attacked",
        fit_with_randomization,
        trains_as_if_never_attacked(fit),
        elsewhere=("test_with_art.py::test_per_epoch_randomization_by_fitting_one_epoch_at_a_time",),
    ),
    Row(
        "fit_generator",
        "PyTorchClassifier.fit_generator",
        "ART skips every defence here: use `RandomizedDataGenerator`",
        "adversarial batches from `RandomizedDataGenerator(attack=...)`",
        fit_generator_with_randomization,
        fit_generator_with_attack,
    ),
    Row(
        "predict",
        "PyTorchClassifier.predict",
        "one draw an image, exactly the model on it",
        "yes",
        equals_plain_torch("predict"),
        same_around_an_attack("predict"),
    ),
    Row(
        "loss_gradient",
        "PyTorchClassifier.loss_gradient",
        "the gradient through the draw",
        "yes",
        equals_plain_torch("loss_gradient"),
        same_around_an_attack("loss_gradient"),
        attacks=SINGLE,
    ),
    Row(
        "class_gradient",
        "PyTorchClassifier.class_gradient",
        "the gradient through the draw",
        "yes",
        equals_plain_torch("class_gradient"),
        same_around_an_attack("class_gradient"),
        attacks=SINGLE,
    ),
    Row(
        "compute_loss",
        "PyTorchClassifier.compute_loss",
        "yes",
        "yes",
        equals_plain_torch("compute_loss"),
        same_around_an_attack("compute_loss"),
        attacks=SINGLE,
    ),
    Row(
        "save",
        "PyTorchClassifier.save",
        "the weights; a defence is made anew from its arguments",
        "a loaded model is attacked alike, bit for bit",
        save_with_randomization,
        save_with_attack,
    ),
    Row(
        "clone",
        "PyTorchClassifier.clone_for_refitting",
        "fresh weights, the same defence: `replay` holds for both",
        "yes",
        clone_with_randomization,
        clone_with_attack,
        elsewhere=("test_with_art.py::test_clone_for_refitting_keeps_working",),
    ),
]

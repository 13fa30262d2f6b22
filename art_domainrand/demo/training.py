"""The training of the demo's models, with ART's classifier and ART's adversarial trainer."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import PyTorchClassifier
from torch import nn
from tqdm.auto import tqdm

from art_domainrand.attacks.pgd import PGD
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.data import LabelledImages
from art_domainrand.demo.recipes import EPS, TRAINING_DOMAIN, Recipe
from art_domainrand.preprocessors import DomainRandomization

EPOCHS = 30
TRAINING_BATCH = 64
PEAK_LEARNING_RATE = 4e-3
RAMP_EPOCHS = 8
TRAINING_STEPS = 5
ADVERSARIAL_SHARE = 0.5

DEVICE = "cpu"
"""Everywhere the same: the network is too small to gain from a GPU, whose sums are not reproducible."""

Epoch = Callable[[int], None]


def train_all(
    recipes: Mapping[str, Recipe], data: LabelledImages, seed: int, *, epochs: int = EPOCHS, verbose: bool = False
) -> dict[str, PyTorchClassifier]:
    """Train a model for each recipe, all from the same weights; call it within :func:`private_randomness`.

    :param recipes: how each is trained, by name.
    :param data: the images.
    :param seed: of the weights and of private streams.
    :param epochs: passes over the data.
    :param verbose: show progress bars.
    """
    models = {}
    for name, recipe in recipes.items():
        torch.default_generator.manual_seed(seed)
        models[name] = train(name, recipe, data, seed, epochs=epochs, verbose=verbose)
    return models


def train(
    name: str, recipe: Recipe, data: LabelledImages, seed: int, *, epochs: int = EPOCHS, verbose: bool = False
) -> PyTorchClassifier:
    """Train one model on ``data``; ``seed`` is that of its private streams, the rest comes from the global generators.

    ART's ``fit`` is called once per epoch: it preprocesses the data once per call, so each epoch has fresh draws, and
    between the calls the learning rate moves on. ``verbose`` shows a progress bar with ``name`` on it.
    """
    randomization = DomainRandomization(TRAINING_DOMAIN, seed=seed, device_type=DEVICE) if recipe.randomized else None
    if recipe.adversarial:
        classifier = make_classifier(data)
        epoch = adversarial_epoch(classifier, randomization, data, seed)
    else:
        classifier = make_classifier(data, randomization)
        epoch = plain_epoch(classifier, data)
    schedule = torch.optim.lr_scheduler.OneCycleLR(classifier.optimizer, PEAK_LEARNING_RATE, total_steps=epochs)
    numbers = tqdm(range(epochs), desc=f"training {name}", unit="epoch", mininterval=0.5, disable=not verbose)
    for number in numbers:
        epoch(number)
        schedule.step()
    return classifier


def plain_epoch(classifier: PyTorchClassifier, data: LabelledImages) -> Epoch:
    """One epoch of ART's own ``fit``, which runs the classifier's preprocessing defences."""
    return lambda number: classifier.fit(data.x, data.y, batch_size=TRAINING_BATCH, nb_epochs=1)


def adversarial_epoch(
    classifier: PyTorchClassifier, randomization: DomainRandomization | None, data: LabelledImages, seed: int
) -> Epoch:
    """One epoch of ART's ``AdversarialTrainer`` with our PGD, its budget rising over the first ``RAMP_EPOCHS``.

    The randomization comes before the attack: it is applied to the images the trainer is given. As a preprocessing
    defence of the classifier it would come after, and turn and blur the perturbation that the attack has just found.
    """
    attack = PGD(classifier, eps=EPS, max_iter=TRAINING_STEPS, num_random_init=1, batch_size=TRAINING_BATCH, seed=seed)
    trainer = AdversarialTrainer(classifier, attack, ratio=ADVERSARIAL_SHARE)

    def epoch(number: int) -> None:
        eps = EPS * min(1.0, (number + 1) / RAMP_EPOCHS)
        attack.set_params(eps=eps, eps_step=2.5 * eps / TRAINING_STEPS)
        x = data.x if randomization is None else randomization(data.x)[0]
        with redirect_stderr(io.StringIO()):  # the trainer draws two progress bars per call and cannot be told not to
            trainer.fit(x, data.y, batch_size=TRAINING_BATCH, nb_epochs=1)

    return epoch


def make_classifier(data: LabelledImages, *defences: Any) -> PyTorchClassifier:
    """A fresh ART classifier for images like ``data``; None among ``defences`` is left out."""
    model = make_network(data.x.shape[1:], len(data.classes))
    return PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(model.parameters()),
        input_shape=data.x.shape[1:],
        nb_classes=len(data.classes),
        clip_values=(0.0, 1.0),
        device_type=DEVICE,
        preprocessing_defences=[defence for defence in defences if defence is not None] or None,
    )


def make_network(shape: tuple[int, ...], nb_classes: int) -> nn.Module:
    """Two strided convolutions and a linear layer, for images of ``shape`` (C, H, W)."""
    features = nn.Sequential(
        nn.Conv2d(shape[0], 16, kernel_size=5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=5, stride=2, padding=2),
        nn.ReLU(),
        nn.Flatten(),
    )
    width = features(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(features, nn.Linear(width, nb_classes))


@contextmanager
def private_randomness(seed: int) -> Iterator[None]:
    """Seed the global CPU generators, from which ART shuffles and torch initializes, and put them back afterwards.

    The number of threads is held at one meanwhile: the network is too small for more to pay, on a busy machine they
    cost more than they bring, and the results do not depend on the number of cores.
    """
    threads = torch.get_num_threads()
    with seeded_global_rng(seed, torch.device(DEVICE)):
        try:
            torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)

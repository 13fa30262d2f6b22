"""A task that a tiny network learns in seconds, and a trainer for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from art_domainrand import PGD, DomainAdversarialTrainer
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.training.data.epochs import SampleKeys, Samples

from support.estimators import CLASSES, cnn, make_classifier

EPS = 0.1
NOISE = R.Pipeline([R.GaussianNoise((0.05, 0.2))])
BRIGHT = R.Pipeline([R.Brightness((-0.1, 0.1)), R.Sometimes(R.Rotation((-10.0, 10.0)), 0.3)])


def corners(n: int = 96, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy 8x8 images with one bright quarter, and which quarter it is."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n)
    x = (rng.random((n, 1, 8, 8)) * 0.5).astype(np.float32)
    for image, corner in zip(x, y, strict=True):
        image[0, 4 * (corner // 2) :, 4 * (corner % 2) :][:4, :4] += 0.3
    return x, y


def with_dropout() -> nn.Sequential:
    """A CNN that draws from the global generator of torch in training."""
    layers = list(cnn().children())
    return nn.Sequential(*layers[:4], nn.Dropout(0.3), layers[4])


def with_norm() -> nn.Sequential:
    """A CNN with batch normalization."""
    layers = list(cnn().children())
    return nn.Sequential(layers[0], nn.BatchNorm2d(6), *layers[1:])


def trainable(model: nn.Module | None = None, rate: float = 0.05, **kwargs: Any) -> PyTorchClassifier:
    """A classifier with seeded weights and an optimizer with momentum."""
    model = cnn() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    return make_classifier(model, **({"optimizer": optimizer} | kwargs))


def trainer_of(classifier: PyTorchClassifier, **options: Any) -> DomainAdversarialTrainer:
    """A trainer with a short PGD; ``starts`` random starts."""
    starts = options.pop("starts", 1)
    attack = PGD(classifier, eps=0.1, eps_step=0.05, max_iter=2, num_random_init=starts, verbose=False)
    return DomainAdversarialTrainer(classifier, attack, **({"verbose": False} | options))


def weights(classifier: PyTorchClassifier) -> dict[str, Tensor]:
    """A copy of the model's parameters and buffers."""
    return {name: value.detach().clone() for name, value in classifier.model.state_dict().items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    """Equal to the last bit."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


def differs(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, b[name]) for name, value in a.items())


def whole_batch(x: Tensor, y: Tensor, first: int = 0) -> Samples:
    """A batch of which this process has every row; its samples count from ``first`` on."""
    return Samples(SampleKeys.counted(first, len(x)), torch.arange(len(x)), x, y)


class Inputs:
    """What a Sequential is shown: in training mode, with the first weights it had then, and, with a gradient in
    evaluation mode, the images that an attack climbs from."""

    def __init__(self, model: nn.Sequential) -> None:
        self.trained: list[Tensor] = []
        self.climbed: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.attacks: list[int] = []  # steps of an attack before each pass in training mode
        model[0].register_forward_pre_hook(self.note)

    def note(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer.training:
            self.trained.append(inputs[0].detach().clone())
            self.weights.append(next(layer.parameters()).detach().clone())
            self.attacks.append(len(self.climbed))
        elif inputs[0].requires_grad:
            self.climbed.append(inputs[0].detach().clone())


def fit(classifier, n: int = 64, epochs: int = 1, batch: int = 32, data=None, **options):
    trainer = trainer_of(classifier, **({"objective": "madry"} | options))
    x, y = corners(n)
    trainer.fit(x, y, batch_size=batch, nb_epochs=epochs, validation_data=data)
    return trainer


def robust_accuracy(classifier) -> float:
    x, y = corners(100, seed=9)
    attack = PGD(classifier, eps=EPS, eps_step=EPS / 4, max_iter=10, verbose=False)
    return float((classifier.predict(attack.generate(x, y)).argmax(1) == y).mean())

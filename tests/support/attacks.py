"""Models that tell what an attack did, and measures of its results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn

from art_domainrand.attacks.engine.search import search
from art_domainrand.core.losses import margin
from art_domainrand.core.norms import lp_norm

from support.estimators import CLASSES, SHAPE

SMALL = {"eps": 0.15, "eps_step": 0.05, "max_iter": 8, "verbose": False}


class RowWise(nn.Module):
    """A smooth two-layer network whose arithmetic for one image is the same to the last bit in every batch."""

    def __init__(self, features: int = 64, hidden: int = 12, classes: int = CLASSES, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(hidden, features, generator=generator) / 2)
        self.second = nn.Parameter(torch.randn(classes, hidden, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        # Sums over the last axis, and over the middle one for the gradient: no image is added up with another.
        pixels = x.flatten(1) - 0.5
        hidden = torch.tanh((pixels.unsqueeze(1) * self.first).sum(2))
        return (hidden.unsqueeze(1) * self.second).sum(2)


class Linear(nn.Module):
    """Scores linear in the pixels, ``scale`` times as large as the gradient of the margin needs."""

    def __init__(self, features: int = 64, classes: int = CLASSES, seed: int = 0, scale: float = 1.0) -> None:
        super().__init__()
        weight = torch.randn(classes, features, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(weight * scale)

    def forward(self, x: Tensor) -> Tensor:
        return ((x.flatten(1) - 0.5).unsqueeze(1) * self.weight).sum(2)


def some_images(n: int = 24, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Images in [0.2, 0.8]: a small step stays inside the box."""
    return (np.random.default_rng(seed).random((n, *shape)) * 0.6 + 0.2).astype(np.float32)


def predicted(classifier: PyTorchClassifier, x: np.ndarray) -> np.ndarray:
    return classifier.predict(x).argmax(1)


def fooled(classifier: PyTorchClassifier, adv: np.ndarray, y: np.ndarray) -> np.ndarray:
    return predicted(classifier, adv) != y


def margins(classifier: PyTorchClassifier, adv: np.ndarray, y: np.ndarray) -> np.ndarray:
    return margin(torch.from_numpy(classifier.predict(adv)), torch.from_numpy(y)).numpy()


def distance(adv: np.ndarray, x: np.ndarray, norm: float) -> np.ndarray:
    return lp_norm(torch.from_numpy(adv).double() - torch.from_numpy(x).double(), float(norm)).flatten().numpy()


@contextmanager
def seen_by(model: nn.Module, *, climbing: bool = True) -> Iterator[list[Tensor]]:
    """Collect what the model is shown: the batches of gradient steps, or with ``climbing=False`` all others."""
    batches: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].requires_grad == climbing:
            batches.append(inputs[0].detach().clone())

    handle = model.register_forward_pre_hook(note)
    try:
        yield batches
    finally:
        handle.remove()


@contextmanager
def memory_for(model: nn.Module, rows: int, error: Callable[[], Exception] = torch.OutOfMemoryError) -> Iterator[None]:
    """A model that runs out of memory above so many rows."""

    def refuse(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) > rows:
            raise error()

    handle = model.register_forward_pre_hook(refuse)
    try:
        yield
    finally:
        handle.remove()


def called_fooled(attack, x, y):
    """Whom the attack itself calls fooled."""
    kept = []

    def spy(inputs, stages):
        kept.append(search(inputs, stages))
        return kept[-1]

    with mock.patch("art_domainrand.attacks.engine.gradient_attack.search", spy):
        attack.generate(x, y)
    return kept[-1].fooled.numpy()

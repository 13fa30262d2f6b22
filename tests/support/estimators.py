"""Small deterministic estimators that the tests build."""

from typing import Any

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

# The models here are tiny: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

SHAPE = (1, 8, 8)
CLASSES = 4


def cnn(channels: int = 1, size: int = 8, classes: int = CLASSES) -> nn.Sequential:
    """A two-layer CNN with smooth activations, so that float rounding cannot flip a gradient."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1),
        nn.Softplus(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * (size // 2) ** 2, classes),
    )


def make_classifier(model: nn.Module | None = None, **kwargs: Any) -> PyTorchClassifier:
    """Return a PyTorchClassifier with seeded random weights, large enough for gradients to matter."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = cnn() if model is None else model
        for p in model.parameters():
            nn.init.normal_(p, std=0.4)
    return wrap(model, **kwargs)


def wrap(model: nn.Module, **kwargs: Any) -> PyTorchClassifier:
    """A classifier of one-channel 8x8 images unless ``kwargs`` say otherwise."""
    options: dict[str, Any] = {
        "loss": nn.CrossEntropyLoss(),
        "input_shape": SHAPE,
        "nb_classes": CLASSES,
        "clip_values": (0.0, 1.0),
        "device_type": "cpu",
    }
    return PyTorchClassifier(model, **(options | kwargs))

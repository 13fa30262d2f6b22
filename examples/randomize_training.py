"""Randomize in training: DomainRandomization as a preprocessing defence of an ART classifier.

Run with: python examples/randomize_training.py
"""

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import DomainRandomization
from art_domainrand.data import digits
from art_domainrand.evaluation import Clean, Randomized, evaluate, table
from art_domainrand.randomization import Brightness, GaussianNoise, Pipeline, Rotation, Scale, Sometimes, Translation

EPOCHS = 15


def train(data, defences):
    """Return a classifier trained on ``data`` through the preprocessing ``defences``."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 12 * 12, 10))
    classifier = PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(model.parameters()),
        input_shape=(1, 28, 28),
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=defences,
    )
    for _ in range(EPOCHS):  # ART's fit preprocesses once per call: one call per epoch gives fresh images each time
        classifier.fit(data.x, data.y, batch_size=64, nb_epochs=1)
    return classifier


def main() -> None:
    """Train with and without randomization and compare both on clean and on rotated, shifted images."""
    data, test = digits()
    randomization = DomainRandomization(
        [
            Rotation((-20, 20)),
            Scale((0.9, 1.1)),
            Translation((-0.1, 0.1), (-0.1, 0.1)),
            Sometimes(Brightness((-0.2, 0.2)), p=0.5),
            GaussianNoise((0, 0.05)),
        ],
        seed=0,
    )
    models = {"plain": train(data, None), "randomized": train(data, randomization)}
    moved = Pipeline([Rotation((-25, 25)), Translation((-0.12, 0.12), (-0.12, 0.12))])
    conditions = {"clean": Clean(), "moved": Randomized(moved)}
    print(table(evaluate(models, conditions, test, seed=1, diagnosed=False).rows()))


if __name__ == "__main__":
    main()

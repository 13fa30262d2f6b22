"""Adversarial training with ART's AdversarialTrainer and the PGD of art_domainrand.

Run with: python examples/adversarial_training.py [--epochs 12]
"""

import argparse

import numpy as np
import torch
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import PGD
from art_domainrand.data import digits
from art_domainrand.evaluation import Report, attacked, clean, evaluate, table

EPS = 0.1


def make_classifier():
    """Return an untrained ART classifier of 28x28 digits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 12 * 12, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return PyTorchClassifier(model, nn.CrossEntropyLoss(), (1, 28, 28), 10, optimizer, clip_values=(0, 1))


def pgd(classifier, steps):
    """Return the attack for training and, with more steps, for judging."""
    return PGD(
        classifier, eps=EPS, eps_step=2.5 * EPS / steps, max_iter=steps, num_random_init=1, seed=0, verbose=False
    )


def main() -> None:
    """Train two classifiers for the same number of epochs, one of them on attacked images, and attack both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12)
    epochs = parser.parse_args().epochs
    np.random.seed(0)  # noqa: NPY002 - ART's trainer shuffles with it
    train, test = digits()

    standard = make_classifier()
    standard.fit(train.x, train.y, batch_size=64, nb_epochs=epochs)
    adversarial = make_classifier()
    trainer = AdversarialTrainer(adversarial, pgd(adversarial, steps=5), ratio=0.5)
    trainer.fit(train.x, train.y, batch_size=64, nb_epochs=epochs)

    cells = {"clean": clean, "PGD-20": attacked(lambda estimator: pgd(estimator, steps=20))}
    models = {"standard": standard, "adversarial": adversarial}
    print(table(Report(evaluate(models, cells, test.x, test.y))))


if __name__ == "__main__":
    main()

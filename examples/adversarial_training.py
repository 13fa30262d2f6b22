"""Adversarial training with ART's AdversarialTrainer and the PGD of art_domainrand, judged on a page of its own.

Run with: python examples/adversarial_training.py [--epochs 12] [--out report]
"""

import argparse

import numpy as np
import torch
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import PGD
from art_domainrand.data import digits
from art_domainrand.evaluation import Attacked, Clean, evaluate, table, write_report

EPS = 0.1


def make_classifier():
    """Return an untrained ART classifier of 28x28 digits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 12 * 12, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return PyTorchClassifier(model, nn.CrossEntropyLoss(), (1, 28, 28), 10, optimizer, clip_values=(0, 1))


def main() -> None:
    """Train two classifiers for the same number of epochs, one of them on attacked images, and attack both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", default="report")
    options = parser.parse_args()
    np.random.seed(0)  # noqa: NPY002 - ART's trainer shuffles with it
    train, test = digits()

    standard = make_classifier()
    standard.fit(train.x, train.y, batch_size=64, nb_epochs=options.epochs)
    adversarial = make_classifier()
    attack = PGD(adversarial, eps=EPS, eps_step=EPS / 2, max_iter=5, num_random_init=1, seed=0, verbose=False)
    trainer = AdversarialTrainer(adversarial, attack, ratio=0.5)
    trainer.fit(train.x, train.y, batch_size=64, nb_epochs=options.epochs)

    conditions = {"clean": Clean(), "PGD-20": Attacked("pgd", EPS, options={"max_iter": 20})}
    evaluation = evaluate({"standard": standard, "adversarial": adversarial}, conditions, test)
    print(table(evaluation.rows()))
    print("wrote", *write_report(evaluation, options.out))


if __name__ == "__main__":
    main()

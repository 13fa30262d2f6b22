"""Accuracy against eps for FGSM and PGD, on clean images and on randomized ones, as a table and a plot.

Run with: python examples/robustness_curve.py [--out curve.png] [--seed 0]
"""

import argparse
from functools import partial

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import FGSM, PGD
from art_domainrand.data import digits
from art_domainrand.evaluation import Report, attacked, clean, evaluate, in_turn, shifted, table
from art_domainrand.evaluation.plots import accuracy_curves
from art_domainrand.randomization import Brightness, Pipeline, Rotation, Translation

BUDGETS = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1)


def main() -> None:
    """Train, evaluate at every budget, print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="curve.png")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    train, test = digits(seed=options.seed)
    model = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 12 * 12, 10))
    optimizer = torch.optim.Adam(model.parameters())
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), (1, 28, 28), 10, optimizer, clip_values=(0, 1))
    classifier.fit(train.x, train.y, batch_size=64, nb_epochs=10)

    attacks = {
        "FGSM": lambda eps: partial(FGSM, eps=eps),
        "PGD": lambda eps: partial(PGD, eps=eps, eps_step=0.01, max_iter=20, batch_size=256, verbose=False),
    }
    randomize = Pipeline([Rotation((-10, 10)), Translation((-0.05, 0.05), (-0.05, 0.05)), Brightness((-0.1, 0.1))])
    starts = {"clean": clean, "randomized": shifted(randomize, options.seed)}
    curves = {}
    for attack, at in attacks.items():
        for start, images in starts.items():
            cells = {f"eps {eps:g}": in_turn(images, attacked(at(eps))) for eps in BUDGETS}
            rows = evaluate({f"{attack}, {start}": classifier}, cells, test.x, test.y)
            curves[rows[0].model] = rows
    print(table(Report(tuple(row for rows in curves.values() for row in rows), {"seed": options.seed})))
    accuracy_curves(options.out, BUDGETS, curves, xlabel="eps (L-inf)")
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()

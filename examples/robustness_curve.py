"""Accuracy against eps for FGSM and PGD, on clean images and on randomized ones, as a table and a plot.

Run with: python examples/robustness_curve.py [--out curve.png] [--seed 0]
"""

import argparse
from dataclasses import replace

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand.data import digits
from art_domainrand.evaluation import Attacked, Clean, Randomized, Then, curves, evaluate, table
from art_domainrand.evaluation.plots import accuracy_curves
from art_domainrand.randomization import Brightness, Pipeline, Rotation, Translation

BUDGETS = (0.02, 0.04, 0.06, 0.08, 0.1)
CURVES = ("FGSM, clean", "PGD, clean", "FGSM, randomized", "PGD, randomized")


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

    pipeline = Pipeline([Rotation((-10, 10)), Translation((-0.05, 0.05), (-0.05, 0.05)), Brightness((-0.1, 0.1))])
    randomized = Randomized(pipeline)
    fgsm = [Attacked("fgsm", eps) for eps in BUDGETS]  # what differs in eps alone is one curve, and costs little more
    pgd = [Attacked("pgd", eps, options={"max_iter": 20}) for eps in BUDGETS]  # than its largest eps
    inside = [Then(randomized, attack) for attack in (*fgsm, *pgd)]
    conditions = [Clean(), randomized, *fgsm, *pgd, *inside]
    evaluation = evaluate(classifier, conditions, test, seed=options.seed, diagnosed=False)
    found = dict(zip(CURVES, curves(evaluation, "model"), strict=True))
    cells = [f"eps {eps:g}" for eps in (0, *BUDGETS)]
    rows = {name: [replace(row, model=name) for row in curve.rows] for name, curve in found.items()}
    print(table(replace(row, cell=cell) for some in rows.values() for row, cell in zip(some, cells, strict=True)))
    for name, curve in found.items():
        print(f"mean accuracy of {name}, over eps: {curve.area:.2f}")
    accuracy_curves(options.out, (0, *BUDGETS), rows, xlabel="eps (L-inf)")
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()

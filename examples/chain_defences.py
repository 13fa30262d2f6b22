"""Chain domain randomization with a PyTorch defence of ART; gradients flow through both.

Run with: python examples/chain_defences.py
"""

import torch
from art.defences.preprocessor import SpatialSmoothingPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import PGD, DomainRandomization
from art_domainrand.data import digits
from art_domainrand.evaluation import Attacked, Clean, evaluate, table
from art_domainrand.randomization import Brightness, Rotation


def make_classifier(model, defences):
    """Wrap ``model`` for ART behind the preprocessing ``defences``, which run in the order given."""
    return PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(model.parameters()),
        input_shape=(1, 28, 28),
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=defences,
    )


def main() -> None:
    """Train behind randomization and smoothing; attack the model through the smoothing, and past it."""
    torch.manual_seed(0)
    train, test = digits()
    model = nn.Sequential(nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 12 * 12, 10))
    randomization = DomainRandomization([Rotation((-10, 10)), Brightness((-0.1, 0.1))], seed=0)  # in training only
    # A median stays in the range; with clip_values ART 1.20's smoothing fails on a GPU.
    smoothing = SpatialSmoothingPyTorch(window_size=5, channels_first=True, apply_fit=True)
    defended = make_classifier(model, [randomization, smoothing])
    for _ in range(6):  # one call per epoch: ART preprocesses once per call
        defended.fit(train.x, train.y, batch_size=64, nb_epochs=1)

    bare = make_classifier(model, None)

    def past(_, x, y):  # a function that returns the images to be judged is a condition, too
        return PGD(bare, eps=0.1, eps_step=0.025, max_iter=10, batch_size=256, verbose=False).generate(x, y)

    through = Attacked("pgd", 0.1, options={"eps_step": 0.025, "max_iter": 10, "num_random_init": 0})
    conditions = {"clean": Clean(), "PGD past the smoothing": past, "PGD through it": through}
    print(table(evaluate({"defended": defended}, conditions, test[:200], diagnosed=False).rows()))


if __name__ == "__main__":
    main()

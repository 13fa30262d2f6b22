"""Rows of the contract: ART's trainers of certified classifiers."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.defences.trainer import AdversarialTrainerCertifiedIBPPyTorch, AdversarialTrainerCertifiedPytorch
from art.estimators.certification.deep_z import PytorchDeepZ
from art.estimators.certification.interval import PyTorchIBPClassifier
from compatibility.contract import EPS, MakeAttack, Row, X, Y, randomization, seeded
from compatibility.trainer_rows import TAKES, Idle
from torch import nn

from art_domainrand import use_attack

from support.estimators import CLASSES, SHAPE


class Convolutional(nn.Module):
    """What ART's certifiers can convert: convolutions, ReLU, dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.dense = nn.Conv2d(1, 2, 3, stride=2), nn.ReLU(), nn.Linear(18, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.relu(self.conv(x)).flatten(1))


CERTIFIERS = {
    "zonotope": (PytorchDeepZ, AdversarialTrainerCertifiedPytorch, {"batch_size": 2}),
    "interval": (
        PyTorchIBPClassifier,
        AdversarialTrainerCertifiedIBPPyTorch,
        {"batch_size": 3, "loss_weighting": 0.1, "use_loss_weighting_schedule": False, "augment_with_pgd": True},
    ),
}
STEPS = {"eps": 0.3, "eps_step": 0.1, "max_iter": 1, "batch_size": 3, "num_random_init": 1}
INSIDE = (0.3 + 0.4 * X).astype(np.float32)  # ART's zonotopes must stay clear of 0 and 1


def certifier(name: str, defence: Any = None) -> Any:
    model = seeded(Convolutional())
    nn.init.ones_(model.conv.bias)  # so that no ReLU is dead
    made = CERTIFIERS[name][0](
        model,
        nn.CrossEntropyLoss(),
        SHAPE,
        CLASSES,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        clip_values=(0, 1),
        preprocessing_defences=defence,
        device_type="cpu",
    )
    made.model.set_forward_mode("concrete")
    return made


def certify(name: str, made: Any, attack: Any, x: np.ndarray = INSIDE) -> None:
    _, kind, options = CERTIFIERS[name]
    random.seed(0)
    trainer = use_attack(kind(made, bound=0.02, pgd_params=dict(STEPS), **options), attack)
    trainer.fit(x, Y, nb_epochs=1, verbose=False, **({"limits": [0.0, 1.0]} if name == "interval" else {}))


def certified_on_the_randomized_images(name: str) -> Callable[[], None]:
    def check() -> None:
        predicted = []
        for defence, x in ((randomization(apply_predict=False), INSIDE), (None, randomization()(INSIDE)[0])):
            made = certifier(name, defence)
            before = made.predict(INSIDE)
            torch.manual_seed(0)
            np.random.seed(0)
            certify(name, made, Idle(made), x)
            made.model.set_forward_mode("concrete")
            predicted.append(made.predict(INSIDE))
            assert np.abs(predicted[-1] - before).max() > 1e-4
        np.testing.assert_allclose(*predicted, atol=1e-5)

    return check


def certifies_against_our_attack(name: str) -> Callable[[MakeAttack], None]:
    def check(make: MakeAttack) -> None:
        made = certifier(name)
        attack = make(made)
        moved: list[float] = []
        generate = attack.generate

        def recording(x: np.ndarray, y: Any = None) -> np.ndarray:
            adversarial = generate(x, y)
            moved.append(float(np.abs(adversarial - x).max()))
            return adversarial

        attack.generate = recording
        before = torch.cat([p.detach().flatten() for p in made.model.parameters()])
        certify(name, made, attack)
        assert len(moved) == 2
        assert EPS / 2 < max(moved) <= EPS + 1e-6
        assert not torch.equal(before, torch.cat([p.detach().flatten() for p in made.model.parameters()]))

    return check


ROWS = [
    Row(
        key,
        component,
        "ART draws once per call of `fit`",
        TAKES,
        certified_on_the_randomized_images(key),
        certifies_against_our_attack(key),
        elsewhere=("test_use_attack.py::test_one_epoch_against_our_pgd",),
    )
    for key, component in (
        ("zonotope", "AdversarialTrainerCertifiedPytorch"),
        ("interval", "AdversarialTrainerCertifiedIBPPyTorch"),
    )
]

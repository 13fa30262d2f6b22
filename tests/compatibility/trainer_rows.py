"""Rows of the contract: ART's adversarial trainers for PyTorch."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from art.defences.trainer import (
    AdversarialTrainer,
    AdversarialTrainerAWPPyTorch,
    AdversarialTrainerFBFPyTorch,
    AdversarialTrainerMadryPGD,
    AdversarialTrainerOAATPyTorch,
    AdversarialTrainerTRADESPyTorch,
    DPInstaHideTrainer,
    Trainer,
)
from compatibility.contract import (
    ATTACKS,
    EPS,
    MakeAttack,
    N,
    Row,
    X,
    Y,
    classifier,
    randomization,
    seeded,
)
from torch import nn

from art_domainrand import FGSM, PGD, DomainAdversarialTrainer, paired, use_attack

from support.estimators import cnn

MakeTrainer = Callable[[Any, Any], Any]


class Plain(nn.Module):
    """Of an ``nn.Sequential`` ART shows its trainers the outputs of all layers, of which some read the first."""

    def __init__(self) -> None:
        super().__init__()
        self.net = seeded(cnn())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def plain(defence: Any = None) -> Any:
    return classifier(defence, Plain())


OAAT = {
    "epsilon": EPS, "i_epsilon": EPS, "alternate_iter_eps": 10.0, "max_iter": 1, "mixup_epsilon": EPS,
    "mixup_alpha": 0.2, "alpha": 1.0, "awp_warmup": 0, "awp_gamma": 0.005, "beta": 6.0, "beta_final": 6.0,
    "list_swa_epoch": [], "list_swa_tau": [], "swa_save_epoch": 100, "load_swa_model_tau": 0.9, "lpips_weight": 1.0,
    "i_lpips_weight": 0.0, "oaat_warmup": 0, "lr": 0.01, "lr_schedule": "cosine", "momentum": 0.0,
    "weight_decay": 0.0, "models_path": None,
}  # fmt: skip

TRAINERS: dict[str, MakeTrainer] = {
    "standard": lambda made, attack: AdversarialTrainer(made, attack, ratio=1.0),
    "madry": lambda made, attack: use_attack(AdversarialTrainerMadryPGD(made, eps=0.3, eps_step=0.1), attack),
    "fast": lambda made, attack: use_attack(AdversarialTrainerFBFPyTorch(made, eps=0.3), attack),
    "trades": lambda made, attack: AdversarialTrainerTRADESPyTorch(made, attack, beta=6.0),
    "awp": lambda made, attack: AdversarialTrainerAWPPyTorch(made, plain(), attack, "TRADES", 0.005, 6.0, 0),
    "oaat": lambda made, attack: AdversarialTrainerOAATPyTorch(made, plain(), plain(), [], attack, dict(OAAT)),
}


def trained_on(made: Any, train: Callable[[], None]) -> torch.Tensor:
    """The images of the passes in which weights can get a gradient; our attacks freeze them, predictions take none."""
    seen: list[torch.Tensor] = []

    def look(module: nn.Module, args: Any) -> None:
        if torch.is_grad_enabled() and all(p.requires_grad for p in module.parameters()):
            seen.extend(args[0].detach().clone())

    hook = next(made.model.children()).register_forward_pre_hook(look)
    train()
    hook.remove()
    return torch.stack(seen)


def fit(trainer: Any, **kwargs: Any) -> None:
    trainer.fit(X, Y, **{"batch_size": 3, "nb_epochs": 2} | kwargs)


class Idle(PGD):
    """Leaves the images as they are, so that only randomization tells views apart."""

    def generate(self, x: Any, y: Any = None, mask: Any = None) -> Any:
        return x.copy()


def fresh_draws(name: str) -> Callable[[], None]:
    """Every image is drawn anew in each epoch; trainers that compare two views draw for each, unless ``paired``."""
    compares = name in ("trades", "awp", "oaat")

    def distinct(defence: Any, hold: Any = nullcontext) -> int:
        made = plain(defence)
        trainer = TRAINERS[name](made, Idle(made))
        with hold(trainer):
            return len(torch.unique(trained_on(made, lambda: fit(trainer)).flatten(1), dim=0))

    def check() -> None:
        assert distinct(None) == N
        views = distinct(randomization(apply_predict=False))
        if compares:
            assert views == 4 * N
            assert distinct(randomization(apply_predict=False), paired) == 2 * N
        else:  # fast training also takes the gradient of its own step, at the images as they are
            assert views == (3 if name == "fast" else 2) * N

    return check


def takes_our_attack(name: str) -> Callable[[MakeAttack], None]:
    """The images the weights are moved on are within eps of the originals, and up to eps away from them."""

    def check(make: MakeAttack) -> None:
        made = plain()
        trainer = TRAINERS[name](made, make(made))
        shown = trained_on(made, lambda: fit(trainer, nb_epochs=1)).flatten(1)
        distance = torch.cdist(shown, torch.from_numpy(X).flatten(1), p=torch.inf).amin(1)
        assert EPS / 2 < distance.max() <= EPS + 1e-6
        if name in ("standard", "madry", "fast"):
            assert distance.min() > EPS / 2, "on adversarial images only"

    return check


def instahide_with_randomization() -> None:
    made = plain()
    trainer = DPInstaHideTrainer(made, randomization(), noise="gaussian", scale=0.0)
    shown = trained_on(made, lambda: fit(trainer)).flatten(1)
    assert len(torch.unique(shown, dim=0)) == 2 * N


def instahide_with_attack(make: MakeAttack) -> None:
    made = plain()
    use_attack(DPInstaHideTrainer(made, randomization()), make(made))


def domain_trainer(defence: Any, attack: Callable[[Any], Any], epochs: int) -> torch.Tensor:
    """What DomainAdversarialTrainer moves the weights on, (M, pixels)."""
    made = plain()
    trainer = DomainAdversarialTrainer(
        made, attack(made), randomization=defence and defence.pipeline, objective="madry", seed=0, verbose=False
    )
    assert isinstance(trainer, Trainer)
    shown = trained_on(made, lambda: fit(trainer, nb_epochs=epochs)).flatten(1)
    np.testing.assert_array_equal(trainer.predict(X), made.predict(X))
    return shown


def domain_trainer_with_randomization() -> None:
    for defence, images in ((None, N), (randomization(), 2 * N)):
        shown = domain_trainer(defence, lambda made: FGSM(made, eps=0.0), epochs=2)
        assert len(torch.unique(shown, dim=0)) == images


def domain_trainer_with_attack(make: MakeAttack) -> None:
    shown = domain_trainer(None, make, epochs=1)
    distance = torch.cdist(shown, torch.from_numpy(X).flatten(1), p=torch.inf).amin(1)
    assert EPS / 2 < distance.min() <= distance.max() <= EPS + 1e-6


DRAWS = "fresh draws in every epoch"
PAIRED = "fresh draws; clean and adversarial view under one draw inside `paired(trainer)`"
TAKES = "by `use_attack(trainer, attack)`"

ROWS = [
    Row(
        key,
        component,
        with_randomization,
        with_attacks,
        fresh_draws(key),
        takes_our_attack(key),
        elsewhere=elsewhere,
    )
    for key, component, with_randomization, with_attacks, elsewhere in (
        ("standard", "AdversarialTrainer", DRAWS, "yes", ("test_estimators.py::test_inside_arts_own_tools",)),
        ("madry", "AdversarialTrainerMadryPGD", DRAWS, TAKES, ("test_use_attack.py::test_one_epoch_against_our_pgd",)),
        ("fast", "AdversarialTrainerFBFPyTorch", DRAWS, TAKES, ("test_use_attack.py::test_one_epoch_against_our_pgd",)),
        (
            "trades",
            "AdversarialTrainerTRADESPyTorch",
            PAIRED,
            "yes",
            ("test_paired.py::test_two_copies_of_an_image_have_no_divergence",),
        ),
        (
            "awp",
            "AdversarialTrainerAWPPyTorch",
            PAIRED,
            "yes",
            ("test_paired.py::test_two_copies_of_an_image_have_no_divergence",),
        ),
    )
] + [
    Row(
        "oaat",
        "AdversarialTrainerOAATPyTorch",
        PAIRED,
        "PGD and AutoPGD; the others say so (ART sets `max_iter` and `eps_step`)",
        fresh_draws("oaat"),
        takes_our_attack("oaat"),
        refuses=dict.fromkeys(
            ("FGSM", "StrongestAttack", "PerturbationGenerator"), "ART's OAAT trainer sets it, use PGD or AutoPGD there"
        )
        | {"UnionAttack": "attacks inside"},
        elsewhere=("test_paired.py::test_two_copies_of_an_image_have_no_divergence",),
    ),
    Row(
        "domain_trainer",
        "Trainer: DomainAdversarialTrainer",
        "fresh draws in every epoch, on the device",
        "FGSM, PGD, AutoPGD, DomainAttack, PerturbationGenerator; the others say so",
        domain_trainer_with_randomization,
        domain_trainer_with_attack,
        refuses=dict.fromkeys(
            ("StrongestAttack", "UnionAttack"), "attack must be an FGSM, PGD or AutoPGD of this library"
        ),
    ),
    Row(
        "instahide",
        "DPInstaHideTrainer",
        "among its `augmentations`, fresh draws in every epoch",
        "it trains against none: `use_attack` says to take an AdversarialTrainer",
        instahide_with_randomization,
        instahide_with_attack,
        refuses=dict.fromkeys(ATTACKS, r"train an AdversarialTrainer\(classifier, attack\) instead"),
    ),
]

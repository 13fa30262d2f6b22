"""What one row of the compatibility contract is, and the tools its checks are made of."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    DomainRandomization,
    PerturbationGenerator,
    StrongestAttack,
    UnionAttack,
)
from art_domainrand.randomization import Contrast, GaussianNoise, Rotation

from support.estimators import CLASSES, cnn, make_classifier

EPS, N = 0.1, 6
X = np.random.default_rng(0).random((N, 1, 8, 8), dtype=np.float32)
INDEX = np.arange(N) % CLASSES
Y = np.eye(CLASSES, dtype=np.float32)[INDEX]

MakeAttack = Callable[..., Any]


def union_of(estimator: Any, **kw: Any) -> UnionAttack:
    """A union of two attacks, which take what it does not."""
    own = {name: kw.pop(name) for name in ("targeted", "batch_size", "seed", "summary_writer") if name in kw}
    of_each = {"targeted": own.get("targeted", False)} | kw
    attacks = [make(estimator, **of_each) for make in (ATTACKS["FGSM"], ATTACKS["PGD"])]
    return UnionAttack(estimator, attacks, **{"batch_size": N, "verbose": False, "seed": 0} | own)


def fitted(estimator: Any, **kw: Any) -> PerturbationGenerator:
    """A small generator that was fitted to what it attacks."""
    own = {"eps": EPS, "batch_size": N, "epochs": 20, "width": 4, "blocks": 0, "gan_weight": 0.0, "seed": 0}
    attack = PerturbationGenerator(estimator, **own | {"learning_rate": 0.02, "verbose": False} | kw)
    x = np.repeat(X, estimator.input_shape[0], axis=1)
    with warnings.catch_warnings():  # so few images are all alike
        warnings.filterwarnings("ignore", "PerturbationGenerator", RuntimeWarning)
        return attack.fit(x, INDEX % estimator.nb_classes)


ATTACKS: dict[str, MakeAttack] = {
    "FGSM": lambda estimator, **kw: FGSM(estimator, **{"eps": EPS, "batch_size": N, "seed": 0} | kw),
    "PGD": lambda estimator, **kw: PGD(
        estimator, **{"eps": EPS, "eps_step": 0.04, "max_iter": 3, "batch_size": N, "verbose": False, "seed": 0} | kw
    ),
    "AutoPGD": lambda estimator, **kw: AutoPGD(
        estimator, **{"eps": EPS, "max_iter": 4, "nb_random_init": 1, "verbose": False, "seed": 0} | kw
    ),
    "StrongestAttack": lambda estimator, **kw: StrongestAttack(
        estimator, **{"eps": EPS, "budget": "quick", "verbose": False, "seed": 0, "eot_samples": 2} | kw
    ),
    "UnionAttack": union_of,
    "PerturbationGenerator": fitted,
}
# A union asks nothing of a component that its attacks do not: it is run beside the cheaper ones.
SINGLE = tuple(name for name in ATTACKS if name != "UnionAttack")
# A fitted generator looks at no model, so that it judges nothing.
JUDGING = tuple(name for name in SINGLE if name != "PerturbationGenerator")
NEEDS_CLASSES = dict.fromkeys(
    ("AutoPGD", "StrongestAttack", "UnionAttack", "PerturbationGenerator"),
    r"estimator must be a classifier \(FGSM and PGD take regressors and object detectors too\)",
)


def name_of(make: MakeAttack) -> str:
    """What ``ATTACKS`` calls it."""
    return next(name for name, entry in ATTACKS.items() if entry is make)


@dataclass(frozen=True)
class Row:
    """One component of ART beside domain randomization and beside our attacks.

    ``randomized()`` proves the second column of the table in examples/guides/art.md and ``attacked(make_attack)`` its
    third, once for each of ``attacks``; for one in ``refuses`` the check must end in an error with that sentence.
    ``elsewhere`` names further tests, as "file.py::test", that prove the same.
    """

    key: str
    component: str
    with_randomization: str
    with_attacks: str
    randomized: Callable[[], None]
    attacked: Callable[[MakeAttack], None]
    refuses: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    attacks: tuple[str, ...] = tuple(ATTACKS)


def randomization(**kwargs: Any) -> DomainRandomization:
    """A geometric, a colour and a per-pixel transform; without clipping, so that it can be compared exactly."""
    options: dict[str, Any] = {"seed": 0, "apply_predict": True, "device_type": "cpu"}
    return DomainRandomization([Rotation((-20, 20)), Contrast((0.6, 1.4)), GaussianNoise(0.02)], **(options | kwargs))


def seeded(model: nn.Module) -> nn.Module:
    """The same model with the same random weights every time, large enough for gradients to matter."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for p in model.parameters():
            nn.init.normal_(p, std=0.4)
    return model


def classifier(defence: Any = None, model: nn.Module | None = None, **kwargs: Any) -> PyTorchClassifier:
    """A classifier that can be trained; the same one every time."""
    model = cnn() if model is None else model
    options = {"optimizer": torch.optim.SGD(model.parameters(), 0.05), "preprocessing_defences": defence} | kwargs
    return make_classifier(model, **options)


def weights(estimator: Any) -> np.ndarray:
    """All parameters in one vector."""
    return torch.cat([p.detach().flatten() for p in estimator.model.parameters()]).numpy().copy()


def assert_same_training(first: Any, second: Any, train: Callable[[Any, int], None]) -> None:
    """``train(estimator, 0)`` and ``train(estimator, 1)`` must move the weights, and to the same values."""
    before = weights(first)
    for which, estimator in enumerate((first, second)):
        torch.manual_seed(0)
        np.random.seed(0)
        train(estimator, which)
    np.testing.assert_allclose(weights(first), weights(second), atol=1e-6)
    assert np.abs(weights(first) - before).max() > 1e-4


@contextmanager
def one_draw(defence: DomainRandomization):
    """Hold one draw for ``N`` images and hand it out."""
    draw = defence.sample(N)
    with defence.replay(draw):
        yield draw


def seen_by_the_model(defence: DomainRandomization, draw: Any, x: torch.Tensor) -> torch.Tensor:
    """What a held draw makes of ``x``: the pipeline by itself, then the straight-through clip."""
    changed = defence.pipeline.apply(x, draw)
    return changed + (changed.clamp(0, 1) - changed).detach()


def assert_attacked(x: np.ndarray, adversarial: np.ndarray, eps: float = EPS) -> None:
    """Changed, by no more than ``eps``, inside [0, 1]."""
    distance = np.abs(adversarial.astype(np.float64) - x.astype(np.float64)).max()
    assert eps / 2 < distance <= eps
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1


def held_loss(estimator: Any, defence: Any, x: np.ndarray, y: Any = INDEX) -> float:
    """The mean loss over the same five draws every time (over one without ``defence``)."""
    if defence is None:
        return float(np.mean(estimator.compute_loss(x, y)))
    losses = []
    for seed in range(5):
        with defence.replay(defence.pipeline.sample(len(x), torch.Generator().manual_seed(seed))):
            losses.append(float(np.mean(estimator.compute_loss(x, y))))
    return float(np.mean(losses))


def attack_raises_the_loss(estimator: Any, make: MakeAttack, defence: Any = None, **kwargs: Any) -> np.ndarray:
    """Attack; check the budget, that the loss rises, and that the weights are as found; return the images."""
    before = weights(estimator)
    adversarial = make(estimator, **kwargs).generate(X, INDEX)
    assert_attacked(X, adversarial)
    assert held_loss(estimator, defence, adversarial) > held_loss(estimator, defence, X)
    np.testing.assert_array_equal(weights(estimator), before)
    return adversarial

"""Linear models whose margin is never crossed: the best attack in ball and box is known, and how near to it we come."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, StrongestAttack

from support.attacks import margins
from support.estimators import wrap

QUIET = {"verbose": False, "batch_size": 100}


class TwoClasses(nn.Module):
    """The margin of class 0 over class 1, which is predicted, is ``w . (x - 1/2) - bias``; ``share`` of it each."""

    def __init__(self, features: int, bias: float, share: float, seed: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, generator=torch.Generator().manual_seed(seed)))
        self.bias, self.share = bias, share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margin = (x.flatten(1) - 0.5) @ self.weight - self.bias
        return torch.stack([margin * self.share, margin * (self.share - 1)], 1)


def best_gain(weight: np.ndarray, x: np.ndarray, eps: float, norm: float) -> np.ndarray:
    """The most that the margin can rise, by water-filling, (N,)."""
    weight, room = np.abs(weight), np.where(weight > 0, 1 - x, x)
    if norm == np.inf:
        return (weight * np.minimum(room, eps)).sum(1)
    if norm == 1:
        order = np.argsort(-weight)
        filled = np.minimum(room[:, order], np.maximum(0, eps - (room[:, order].cumsum(1) - room[:, order])))
        return (weight[order] * filled).sum(1)
    gains = []
    for row in room:
        if np.linalg.norm(row) <= eps:
            gains.append((weight * row).sum())
            continue
        scale = brentq(lambda t, row=row: np.linalg.norm(np.minimum(t * weight, row)) - eps, 0, 1e6, xtol=1e-14)
        gains.append((weight * np.minimum(scale * weight, row)).sum())
    return np.array(gains)


KINDS = {
    "uniform": lambda x: x,
    "binary": lambda x: (x > 0.5).astype(np.float32),
    "half at the ends": lambda x: np.clip(2 * x - 0.7, 0, 1),
}
CASES = {
    "L2": (784, 500.0, 2.0, 2),
    "L2, large": (784, 500.0, 8.0, 2),
    "L2, few": (64, 40.0, 2.0, 2),
    "L1": (784, 95.0, 6.0, 1),
    "L1, colour": (3072, 300.0, 12.0, 1),
    "L1, few": (64, 95.0, 3.0, 1),
    "L1, fewest, bias": (24, 95.0, 0.7, 1),
    "L-inf": (784, 900.0, 0.3, np.inf),
}
ATTACKS = {
    "AutoPGD": (0.97, lambda c, n, e: AutoPGD(c, n, e, max_iter=100, nb_random_init=1, seed=0, **QUIET)),
    "AutoPGD-CE": (
        0.97,
        lambda c, n, e: AutoPGD(c, n, e, max_iter=100, nb_random_init=0, loss_type="cross_entropy", seed=0, **QUIET),
    ),
    "quick": (0.99, lambda c, n, e: StrongestAttack(c, n, e, budget="quick", seed=0, **QUIET)),
}


@pytest.mark.parametrize(("kinds", "share"), [(("uniform", "half at the ends"), 0.5), (("binary",), 0.0)])
@pytest.mark.parametrize("case", CASES)
def test_the_known_optimum_is_reached(case, kinds, share):
    """In both classes' scores, or in one alone, where cross-entropy in float32 has no gradient at all."""
    features, bias, eps, norm = CASES[case]
    model = TwoClasses(features, bias, share)
    classifier = wrap(model, input_shape=(features,), nb_classes=2)
    drawn = np.random.default_rng(0).random((3, features))
    x = np.concatenate([KINDS[kind](drawn) for kind in kinds]).astype(np.float32)
    y, weight = np.ones(len(x), int), model.weight.detach().double().numpy()
    assert (margins(classifier, x, y) + best_gain(weight, x.astype(np.float64), eps, norm) < 0).all(), "never crossed"
    for name, (least, attack) in ATTACKS.items():
        adv = attack(classifier, norm, eps).generate(x, y)
        share_of_best = (adv.astype(np.float64) - x) @ weight / best_gain(weight, x.astype(np.float64), eps, norm)
        assert share_of_best.min() >= least, f"{name}: {share_of_best.min():.4f}"


class Net(nn.Sequential):
    """A small network with two hidden layers; ``scale`` saturates its logits."""

    def __init__(self, scale: float, seed: int) -> None:
        torch.manual_seed(seed)
        super().__init__(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 4))
        with torch.no_grad():
            self[-1].weight *= scale


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize(("binary", "scale", "budget"), [(False, 1.0, "standard"), (True, 30.0, "quick")])
def test_the_ensemble_is_the_best_of_its_parts_on_every_sample(norm, binary, scale, budget):
    """FGSM and PGD-50 on the margin with cosine steps are parts: what they fool it fools, and no margin is smaller.

    In L1 Auto-PGD has the place of PGD, which comes for who is nearly fooled.
    """
    classifier, x = wrap(Net(scale, 1)), np.random.default_rng(2).random((16, 1, 8, 8)).astype(np.float32)
    x = (x > 0.5).astype(np.float32) if binary else x
    y = classifier.predict(x).argmax(1)
    eps = {np.inf: 0.06, 2: 0.4, 1: 2.0}[norm]
    ensemble = StrongestAttack(classifier, norm, eps, budget=budget, seed=0, **QUIET).generate(x, y)
    broken, reached = classifier.predict(ensemble).argmax(1) != y, margins(classifier, ensemble, y)
    parts = [
        FGSM(classifier, norm, eps, batch_size=100),
        PGD(classifier, norm, eps, eps / 2, max_iter=50, step_schedule="cosine", loss="margin", **QUIET),
    ]
    for part in parts[: 1 if norm == 1 else 2]:
        adv = part.generate(x, y)
        fooled = classifier.predict(adv).argmax(1) != y
        assert (broken >= fooled).all()
        unbroken = ~broken
        assert (reached[unbroken] >= margins(classifier, adv, y)[unbroken] - 1e-5 * scale).all()
    assert 0 < broken.sum() < 16


class Classes(nn.Module):
    """Linear scores ``W (x - 1/2) + b``, in double precision, so that eps alone decides."""

    def __init__(self, features: int, classes: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, features, generator=generator) / features**0.5)
        self.bias = nn.Parameter(torch.randn(classes, generator=generator) / 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x.flatten(1) - 0.5).double() @ self.weight.double().T + self.bias.double()).float()


def radius_that_fools(model: Classes, x: np.ndarray, y: int, norm: float) -> float:
    """The least eps at which some other class can be brought level with ``y``, for one image; inf if there is none."""
    weight, bias = model.weight.detach().double().numpy(), model.bias.detach().double().numpy()
    scores = weight @ (x.astype(np.float64) - 0.5) + bias

    def most(eps: float) -> float:
        gains = [
            scores[c] - scores[y] + best_gain(weight[c] - weight[y], x[None].astype(np.float64), eps, norm)[0]
            for c in range(len(bias))
            if c != y
        ]
        return max(gains)

    largest = {np.inf: 1.0, 2: len(x) ** 0.5, 1: float(len(x))}[norm]
    return np.inf if most(largest) <= 0 else brentq(most, 1e-9, largest, xtol=1e-12)


@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_of_a_linear_model_the_optimum_decides(norm, classes):
    """A ten-thousandth above the critical radius every image falls, a ten-thousandth below none: the box counts."""
    model = Classes(40, classes, seed=classes)
    classifier = wrap(model, input_shape=(40,), nb_classes=classes)
    drawn = np.random.default_rng(5).random((10, 40))
    x = np.concatenate([KINDS[kind](drawn[:5]) for kind in ("uniform", "half at the ends")]).astype(np.float32)
    y = classifier.predict(x).argmax(1)
    critical = np.array([radius_that_fools(model, row, label, norm) for row, label in zip(x, y, strict=True)])
    x, y, critical = (part[np.isfinite(critical)] for part in (x, y, critical))
    assert len(x) >= 6
    for factor in (1 - 1e-4, 1 + 1e-4):
        eps = (critical * factor).reshape(-1, 1)
        adv = StrongestAttack(classifier, norm, eps, budget="quick", seed=0, **QUIET).generate(x, y)
        assert ((classifier.predict(adv).argmax(1) != y) == (factor > 1)).all(), f"{norm}, {factor}"

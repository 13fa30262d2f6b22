"""Gradients at the ends of float32: a step of full length at any scale, and never an image that is not finite."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, DomainAdversarialTrainer, StrongestAttack, diagnose
from art_domainrand.attacks.engine.steps import normalized, usable
from art_domainrand.core.norms import ball, in_range, lp_norm

from support.attacks import distance, predicted
from support.estimators import wrap

NORMS = [1.0, 1.01, 1.1, 1.5, 2.0, 3.0, 11.0, 50.0, torch.inf]
SCALES = [1e-45, 3e-45, 1e-42, 1e-39, 1e-38, 1e-30, 1e-10, 1.0, 1e10, 1e30, 1e38]
QUIET = {"verbose": False, "batch_size": 100}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_step_has_its_full_length_at_any_scale(norm, scale):
    grad = torch.tensor([[0.0, 1, 0, 0], [1, -1, 0.5, 0], [1, 1, 1, 1], [0.25, -1, 0, 0.5]]) * scale
    grad[0, 1] = scale
    x = torch.full_like(grad, 0.5)
    moved = ball(norm, x, 0.1).ascend(x, grad.clone(), 0.1)
    assert moved.isfinite().all()
    length = lp_norm(moved.double() - x.double(), norm).flatten().numpy()
    assert length == pytest.approx(0.1, rel=1e-5)
    assert ((moved - x) * grad.sign() >= 0).all(), "along the gradient"


@given(
    st.lists(st.floats(-38, 38).map(lambda e: 10.0**e), min_size=1, max_size=5),
    st.sampled_from(NORMS),
    st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=5, max_size=5),
)
@settings(deadline=None, max_examples=200)
def test_no_finite_gradient_makes_nan(sizes, norm, signs):
    grad = torch.tensor([[size * sign for size, sign in zip(sizes, signs, strict=False)]], dtype=torch.float32)
    x = torch.full_like(grad, 0.5)
    moved = ball(norm, x, 0.2, torch.tensor(0.0), torch.tensor(1.0)).ascend(x, grad.clone(), 0.3)
    assert moved.isfinite().all()
    assert (moved != x).any() == (grad != 0).any()
    assert normalized(grad).isfinite().all()


def test_ordinary_gradients_keep_every_bit():
    grad = torch.randn(6, 30, generator=torch.Generator().manual_seed(0)) * torch.logspace(-17, 17, 6)[:, None]
    assert torch.equal(in_range(grad), grad)


def test_what_is_not_finite_is_marked_and_what_is_only_large_is_not():
    tainted = torch.zeros(5)
    grad = torch.tensor([[3e38, 3e38], [torch.inf, 1.0], [1.0, torch.nan], [-torch.inf, torch.inf], [1e-45, 0.0]])
    found = usable(grad, None, tainted)
    assert tainted.isnan().tolist() == [False, True, True, True, False]
    assert found.isfinite().all()
    assert found.sign().tolist() == [[1, 1], [1, 1], [1, 0], [-1, 1], [1, 0]]


class Biased(nn.Module):
    """Two classes, linear, with a bias that leaves cross-entropy a gradient of 1e-41, some entries of it exactly 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(64, generator=torch.Generator().manual_seed(0)) * (torch.arange(64) % 3 > 0)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margin = (x.flatten(1) - 0.5) @ self.weight - 95
        return torch.stack([margin, -0 * margin], 1)


ATTACKS = {
    "FGSM": lambda c, n, e: FGSM(c, n, e, batch_size=100),
    "FGSM, minimal": lambda c, n, e: FGSM(c, n, e, e / 3, minimal=True, batch_size=100),
    "PGD": lambda c, n, e: PGD(c, n, e, e / 4, max_iter=5, **QUIET),
    "PGD, momentum": lambda c, n, e: PGD(c, n, e, e / 4, max_iter=5, decay=0.9, **QUIET),
    "PGD, search": lambda c, n, e: PGD(c, n, e, e / 4, max_iter=5, early_stop=True, keep_best=True, **QUIET),
    "AutoPGD": lambda c, n, e: AutoPGD(c, n, e, max_iter=8, nb_random_init=1, seed=0, **QUIET),
    "AutoPGD, original": lambda c, n, e: AutoPGD(c, n, e, max_iter=8, variant="original", seed=0, **QUIET),
    "strongest": lambda c, n, e: StrongestAttack(c, n, e, budget="quick", seed=0, **QUIET),
}


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_returns_what_is_not_finite(name, norm):
    classifier, x = wrap(Biased(), nb_classes=2), np.random.default_rng(0).random((6, 1, 8, 8)).astype(np.float32)
    y, eps = np.ones(6, int), {np.inf: 0.1, 2: 0.5, 1: 2.0}[norm]
    gradient = classifier.loss_gradient(x, np.eye(2, dtype=np.float32)[y])
    assert 0 < np.abs(gradient).max() < 1e-38, "subnormal"
    adv = ATTACKS[name](classifier, norm, eps).generate(x, y)
    assert np.isfinite(adv).all()
    assert (distance(adv, x, norm) > 0.5 * eps).all()
    assert (predicted(classifier, adv) == y).all()


class Overflowing(nn.Module):
    """Scores that are NaN wherever the first pixel has moved up, and a gradient that leads there."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(1)
        score = rows.sum(1) * torch.where(rows[:, 0] > 0.55, torch.nan, 1.0)
        return torch.stack([score * 0, 40 - score], 1)


@pytest.mark.parametrize("name", ["PGD, search", "AutoPGD", "strongest"])
def test_scores_that_are_not_numbers_are_no_success(name):
    """argmax of a row of NaN is class 0, which is not the label."""
    classifier, x = wrap(Overflowing(), nb_classes=2), np.full((4, 1, 8, 8), 0.5, np.float32)
    with pytest.warns(RuntimeWarning, match="non-finite loss gradient"):
        adv = ATTACKS[name](classifier, np.inf, 0.1).generate(x, np.ones(4, int))
    assert np.isfinite(adv).all()


def test_training_on_such_gradients_keeps_the_weights_finite():
    """A NaN image would have made every weight NaN in one step."""
    model = Biased()
    classifier = wrap(model, nb_classes=2, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    x, y = np.random.default_rng(0).random((8, 1, 8, 8)).astype(np.float32), np.ones(8, int)
    DomainAdversarialTrainer(classifier, FGSM(classifier, 2, 0.5), verbose=False).fit(x, y, nb_epochs=2, batch_size=4)
    assert all(p.isfinite().all() for p in model.parameters())


def test_diagnose_does_not_blame_the_estimator():
    found = diagnose(wrap(Biased(), nb_classes=2), np.full((6, 1, 8, 8), 0.5, np.float32), np.ones(6, int), eps=0.1)
    assert "NaN" not in str(found)
    assert "not finite" not in str(found)

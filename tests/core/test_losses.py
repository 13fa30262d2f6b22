"""Every loss against its formula, its authors' code and finite differences."""

import pytest
import torch
import torchattacks
from torch.nn.functional import softmax

from art_domainrand.core.losses import (
    LOSSES,
    SPREAD,
    cross_entropy,
    dlr,
    dlr_towards,
    log_odds,
    margin,
    targeted_dlr,
    temperature,
    tempered_log_odds,
)


def scores(classes=6, n=40, seed=0):
    """Distinct scores in float64, labels among which some lead, and other classes as targets."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, classes, generator=generator, dtype=torch.float64) * 3
    y = torch.randint(classes, (n,), generator=generator)
    y[: n // 3] = z[: n // 3].argmax(1)
    t = (y + 1 + torch.randint(classes - 1, (n,), generator=generator)) % classes
    return z, y, t


def test_cross_entropy_is_minus_the_log_probability():
    z, y, _ = scores()
    expected = -softmax(z, 1).gather(1, y[:, None]).log().squeeze(1)
    assert torch.allclose(cross_entropy(z, y), expected)


def test_margin_by_hand():
    z, y, _ = scores()
    for row, label, value in zip(z, y, margin(z, y), strict=True):
        others = [float(s) for k, s in enumerate(row) if k != label]
        assert float(value) == max(others) - float(row[label])
    assert margin(torch.tensor([[1.0, 1.0]]), torch.tensor([0])) == 0


def test_dlr_is_that_of_the_authors():
    z, y, _ = scores()
    assert torch.allclose(dlr(z, y), torchattacks.APGD.dlr_loss(None, z, y), rtol=1e-9)


def test_targeted_dlr_is_that_of_the_authors():
    z, y, t = scores()
    theirs = torchattacks.APGDT.dlr_loss_targeted(None, z, y, t)
    assert torch.allclose(targeted_dlr(z, y, t), theirs, rtol=1e-9)


def test_dlr_by_hand():
    z = torch.tensor([[5.0, 1.0, 3.0, 2.0]])
    assert float(dlr(z, torch.tensor([0]))) == pytest.approx((3 - 5) / (5 - 2))
    assert float(dlr(z, torch.tensor([2]))) == pytest.approx((5 - 3) / (5 - 2))
    away, towards = torch.tensor([0]), torch.tensor([1])
    assert float(targeted_dlr(z, away, towards)) == pytest.approx((1 - 5) / (5 - (2 + 1) / 2))
    assert float(targeted_dlr(z[:, :3], away, towards)) == pytest.approx((1 - 5) / (5 - 1))


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_gradients_match_finite_differences(classes):
    z, y, t = scores(classes)
    z.requires_grad_()
    for loss in LOSSES.values():
        if classes == 2 and loss is dlr:
            continue  # its gap is held: below
        assert torch.autograd.gradcheck(lambda s, loss=loss: loss(s, y), z)
    if classes > 2:
        assert torch.autograd.gradcheck(lambda s: targeted_dlr(s, y, t), z)


def test_two_classes_climb_the_margin():
    """The ratio itself is +-1 everywhere; with the gap held its gradient is that of the margin over the gap."""
    z, y, _ = scores(classes=2)
    z.requires_grad_()
    gap = (z[:, 0] - z[:, 1]).abs().detach()
    (expected,) = torch.autograd.grad((margin(z, y) / gap).sum(), z)
    for loss in (lambda: dlr(z, y), lambda: targeted_dlr(z, y, 1 - y), lambda: dlr_towards(z, 1 - y)):
        (found,) = torch.autograd.grad(loss().sum(), z)
        assert torch.allclose(found, expected, rtol=1e-9)
        assert (found.abs() > 0).all()


def test_dlr_does_not_see_shift_and_scale_and_margin_sees_scale():
    z, y, t = scores()
    moved = 250 * z - 40
    assert torch.allclose(dlr(moved, y), dlr(z, y), rtol=1e-9)
    assert torch.allclose(targeted_dlr(moved, y, t), targeted_dlr(z, y, t), rtol=1e-9)
    assert torch.allclose(margin(moved, y), 250 * margin(z, y), rtol=1e-9)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_dlr_towards_a_target_leaves_the_best_of_the_others(classes):
    z, _, t = scores(classes)
    for row, target, value in zip(z, t, dlr_towards(z, t), strict=True):
        rival = max((k for k in range(classes) if k != target), key=lambda k, row=row: float(row[k]))
        alone = targeted_dlr(row[None], torch.tensor([rival]), target[None])
        assert float(value) == pytest.approx(float(alone))


def test_ties_and_impossible_classes_stay_finite():
    tied, label = torch.zeros(1, 5, requires_grad=True), torch.tensor([2])
    for loss in (*LOSSES.values(), lambda z, y: targeted_dlr(z, y, y + 1)):
        (grad,) = torch.autograd.grad(loss(tied, label).sum(), tied)
        assert grad.isfinite().all()
    impossible = torch.tensor([[1.0, -torch.inf, 0.0, 2.0, 3.0]])
    assert float(margin(impossible, torch.tensor([0]))) == 2
    assert float(dlr(impossible, torch.tensor([0]))) == 2 / 2


def spread_to(deviation, classes=6):
    """Scores of which the four largest of every sample have this standard deviation and are about as far apart."""
    z, y, _ = scores(classes)
    steps = z.argsort(1).argsort(1) + z.sigmoid() / 4
    return steps / steps.topk(min(4, classes), 1).values.std(1, keepdim=True) * deviation, y


def test_scores_that_spread_little_are_not_tempered():
    z, y = spread_to(0.99 * SPREAD)
    assert torch.equal(tempered_log_odds(z, y), log_odds(z, y))


RULED_OUT = [-1e4, -65504.0, -1e9, -torch.inf]


def beside_ruled_out(z, least):
    return torch.cat([z, torch.full((len(z), 3), least, dtype=z.dtype)], 1).requires_grad_()


@pytest.mark.parametrize("least", RULED_OUT)
def test_classes_that_are_ruled_out_say_next_to_nothing_of_the_spread(least):
    for possible, most in ((4, 1), (3, 3)):
        z, _ = spread_to(0.99 * SPREAD, possible)
        assert (temperature(beside_ruled_out(z, least)) <= most).all()


@pytest.mark.parametrize("least", RULED_OUT)
def test_one_rival_is_climbed_alone_whatever_the_temperature(least):
    z, y = spread_to(0.99 * SPREAD, 2)
    wide = beside_ruled_out(z, least)
    (found,) = torch.autograd.grad(tempered_log_odds(wide, y).sum(), wide)
    (expected,) = torch.autograd.grad(margin(wide, y).sum(), wide)
    assert torch.allclose(found, expected, atol=0.01)


def test_a_temperature_is_the_samples_own_to_the_bit():
    z = 100 * torch.randn(2000, 10, generator=torch.Generator().manual_seed(0)) + 3e4
    alone = torch.cat([temperature(row[None]) for row in z])
    assert torch.equal(temperature(z), alone)
    assert (alone > 1).double().mean() > 0.9


def test_tempered_odds_climb_however_large_the_scores_as_at_the_largest_spread():
    """The gradient is that of the log-odds there, where several classes have a part; theirs here is one class's."""
    z, y = spread_to(SPREAD)
    z.requires_grad_()
    (expected,) = torch.autograd.grad(log_odds(z, y).sum(), z)
    large = (500 * z).detach().requires_grad_()
    (found,) = torch.autograd.grad(tempered_log_odds(large, y).sum(), large)
    assert torch.allclose(found, expected, rtol=1e-9)
    assert torch.allclose(tempered_log_odds(large, y), 500 * log_odds(z, y), rtol=1e-9)
    (plainly,) = torch.autograd.grad(log_odds(large, y).sum(), large)
    tempered, untempered = ((gradient.abs() > 1e-6).sum(1).double().mean() for gradient in (found, plainly))
    assert tempered > 4
    assert untempered < 2.1

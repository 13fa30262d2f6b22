"""Balls, steps and starts against brute force and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from art_domainrand.core.norms import add_within, ball, lp_norm, project_l1_box

NORMS = [1.0, 1.5, 2.0, 3.0, torch.inf]


def random_problem(seed: int, n: int = 8, d: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, d, generator=generator), torch.randn(n, d, generator=generator)


@pytest.mark.parametrize("boxed", [True, False])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", [0.03, 1.0, 20.0])
def test_iterates_stay_in_ball_and_box_exactly(norm, eps, boxed):
    x, grad = random_problem(0)
    low, high = (torch.tensor(0.0), torch.tensor(1.0)) if boxed else (None, None)
    space = ball(norm, x, eps, low, high)
    adv = x
    for _ in range(5):
        adv = space.ascend(adv, grad.clone(), eps / 2)
    adv = space.settle(adv)
    length = lp_norm(adv.double() - x.double(), norm)
    assert (length <= eps * (1 + 1e-14)).all()
    if boxed:
        assert adv.min() >= 0
        assert adv.max() <= 1


@given(st.floats(0, 1, width=32), st.floats(1e-6, 1), st.sampled_from([-1, 1]))
@settings(max_examples=300, deadline=None)
def test_add_within_is_the_last_float_inside(x, eps, sign):
    start = torch.tensor([x], dtype=torch.float32)
    moved = add_within(start, sign * eps)
    beyond = torch.nextafter(moved, start + sign * 10)
    assert abs(moved.double() - start.double()) <= eps
    assert abs(beyond.double() - start.double()) >= eps


@pytest.mark.parametrize("norm", [2.0, torch.inf, 1.5, 3.0])
def test_step_maximizes_the_inner_product(norm):
    """By Hoelder's inequality the best unit step gains exactly the dual norm of the gradient."""
    x, grad = random_problem(1)
    step = ball(norm, x.double(), 1e9).ascend(x.double(), grad.double(), 1.0) - x.double()
    dual = 1.0 if norm == torch.inf else norm / (norm - 1)
    assert torch.allclose((step * grad).flatten(1).sum(1), torch.linalg.vector_norm(grad.double(), ord=dual, dim=1))
    assert torch.allclose(lp_norm(step, norm), torch.ones(1, dtype=torch.float64))


def test_l1_step_solves_the_linear_program_in_the_box():
    x, grad = random_problem(2, n=6, d=12)
    x[:, :4] = 1.0  # saturated pixels, some with the largest gradients
    grad[:, :4] *= 5
    space = ball(1.0, x, 2.5, torch.tensor(0.0), torch.tensor(1.0))
    step = (space.ascend(x, grad.clone(), 2.5) - x).double().numpy()
    for i in range(len(x)):
        g, xi = grad[i].double().numpy(), x[i].double().numpy()
        # d = up - down with up, down >= 0 makes the L1 ball linear.
        best = linprog(
            -np.concatenate([g, -g]),
            A_ub=np.ones((1, 24)),
            b_ub=[2.5],
            bounds=[(0, 1 - v) for v in xi] + [(0, v) for v in xi],
        )
        assert step[i] @ g == pytest.approx(-best.fun, rel=1e-5)


@pytest.mark.parametrize("eps", [0.4, 2.0, 100.0])
def test_l1_projection_matches_a_solver(eps):
    x, delta = random_problem(3, n=4, d=10)
    low, high = 0 - x, 1 - x
    room = torch.where(delta > 0, high, -low)
    ours = project_l1_box(delta.double(), eps, room.double()).numpy()
    for i in range(len(x)):
        target = delta[i].double().numpy()
        split = minimize(
            lambda v, t=target: ((v[:10] - v[10:] - t) ** 2).sum(),
            np.zeros(20),
            jac=lambda v, t=target: np.concatenate([2 * (v[:10] - v[10:] - t), -2 * (v[:10] - v[10:] - t)]),
            bounds=[(0, float(h)) for h in high[i]] + [(0, float(-v)) for v in low[i]],
            constraints={"type": "ineq", "fun": lambda v: eps - v.sum(), "jac": lambda v: -np.ones(20)},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert np.allclose(ours[i], split.x[:10] - split.x[10:], atol=1e-5)


@given(st.integers(0, 10_000), st.floats(0, 6), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_l1_projection_is_the_clipped_soft_threshold(seed, eps, d):
    """The optimality conditions: one threshold t >= 0 with |d| = clip(|delta| - t, 0, room), t = 0 or a full budget."""
    x, delta = (t.double() for t in random_problem(seed, n=3, d=d))
    room = torch.where(delta > 0, 1 - x, x)
    projected = project_l1_box(delta, eps, room)
    total = projected.abs().sum(1)
    unlimited = torch.minimum(delta.abs(), room)
    assert (total <= eps + 1e-9).all()
    for i in range(3):
        if unlimited[i].sum() <= eps:
            assert torch.allclose(projected[i].abs(), unlimited[i])
            continue
        assert total[i] == pytest.approx(eps, abs=1e-9)
        size = projected[i].abs()
        free = (size > 1e-12) & (size < room[i] - 1e-12)
        thresholds = (delta[i].abs() - size)[free]
        if len(thresholds):
            t = thresholds[0]
            assert torch.allclose(thresholds, t.expand_as(thresholds))
            assert torch.allclose(size, torch.minimum((delta[i].abs() - t).clamp_min(0), room[i]), atol=1e-9)

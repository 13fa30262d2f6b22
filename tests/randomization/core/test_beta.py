"""The beta distribution against SciPy's, finite differences in float64 and torch.distributions."""

import numpy as np
import pytest
import scipy.stats
import torch

from art_domainrand.randomization import Beta, Brightness, LogUniform, Pipeline, Uniform
from art_domainrand.randomization.core.beta import beta_divergence, beta_entropy, beta_log_density
from art_domainrand.randomization.numerics.incomplete_beta import beta_icdf

SHAPES = [0.05, 0.3, 1.0, 2.5, 30.0, 1000.0]
POINTS = torch.cat((torch.tensor([1e-6, 1e-3]), torch.linspace(0.01, 0.99, 50), torch.tensor([1 - 1e-5]))).double()


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("b", SHAPES)
def test_the_inverse_is_scipys(a: float, b: float) -> None:
    expected = scipy.stats.beta.ppf(POINTS.numpy(), a, b)
    np.testing.assert_allclose(Beta(0.0, 1.0, a, b).icdf(POINTS).numpy(), expected, rtol=0, atol=1e-8)


def test_rows_of_different_shapes_are_worked_out_together() -> None:
    a, b = torch.tensor([0.2, 1.0, 7.0]), torch.tensor([3.0, 1.0, 0.5])
    u = torch.rand(3, 20, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([beta_icdf(u[k : k + 1], a[k : k + 1], b[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(beta_icdf(u, a, b), alone, rtol=0, atol=1e-7)


def test_where_a_point_lies_changes_no_bit() -> None:
    law, u = Beta(-2.0, 3.0, 0.7, 4.0), torch.rand(1003, generator=torch.Generator().manual_seed(1))
    whole = law.icdf(u)
    for rows in (slice(0, 1), slice(3, 10), slice(995, 1003), slice(1, 1002, 2)):
        assert torch.equal(whole[rows], law.icdf(u[rows]))


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.5), (1.0, 1.0), (2.0, 0.7), (30.0, 80.0)])
@pytest.mark.parametrize("log", [False, True])
def test_gradients_reach_point_bounds_and_shapes(a: float, b: float, log: bool) -> None:
    u = torch.tensor([1e-4, 0.1, 0.5, 0.9, 0.999], dtype=torch.float64, requires_grad=True)
    inputs = (number(0.5), number(2.0), number(a), number(b))
    assert torch.autograd.gradcheck(lambda u, *of: Beta(*of, log=log).icdf(u), (u, *inputs))


def test_the_ends_are_finite_and_have_finite_gradients() -> None:
    for a, b in ((0.1, 0.1), (1.0, 1.0), (50.0, 0.5)):
        u = torch.tensor([0.0, 1.0], requires_grad=True)
        shape = torch.tensor(a, requires_grad=True)
        value = Beta(-1.0, 1.0, shape, b).icdf(u)
        value.sum().backward()
        assert bool((value.abs() <= 1).all())
        assert bool(u.grad.isfinite().all())
        assert bool(shape.grad.isfinite())


def test_the_arcsine_law_is_what_the_search_finds_also_of_a_shape_that_is_learned() -> None:
    u = torch.linspace(1e-3, 1 - 1e-3, 101, dtype=torch.float64)
    for a, b in ((0.5, number(0.5)), (number(0.5), 0.5)):
        value = Beta(-1.0, 3.0, a, b).icdf(u)
        torch.testing.assert_close(Beta(-1.0, 3.0, 0.5, 0.5).icdf(u), value.detach(), rtol=0, atol=1e-8)
        assert value.requires_grad


def test_equal_shapes_of_one_are_uniform_and_log_uniform() -> None:
    u = POINTS
    torch.testing.assert_close(Beta(-2.0, 3.0).icdf(u), Uniform(-2.0, 3.0).icdf(u), rtol=0, atol=1e-10)
    torch.testing.assert_close(Beta(0.5, 4.0, log=True).icdf(u), LogUniform(0.5, 4.0).icdf(u), rtol=0, atol=1e-10)


def test_closed_forms_are_those_of_torch() -> None:
    a, b = torch.tensor([0.3, 1.0, 4.0, 80.0]).double(), torch.tensor([2.0, 1.0, 0.5, 90.0]).double()
    law, other = torch.distributions.Beta(a, b), torch.distributions.Beta(b, a + 1)
    x = torch.tensor([0.01, 0.4, 0.5, 0.97]).double()
    torch.testing.assert_close(beta_log_density(x, a, b), law.log_prob(x))
    torch.testing.assert_close(beta_entropy(a, b), law.entropy())
    torch.testing.assert_close(beta_divergence(a, b, b, a + 1), torch.distributions.kl_divergence(law, other))


def test_in_a_pipeline_its_shapes_are_learned() -> None:
    shape = torch.tensor(2.0, requires_grad=True)
    pipeline = Pipeline([Brightness(Beta(-0.5, 0.5, shape, 1.0))])
    assert pipeline.requires_grad
    x = torch.full((4, 1, 2, 2), 0.5)
    pipeline.apply(x, pipeline.sample(4, torch.Generator().manual_seed(0))).sum().backward()
    assert float(shape.grad) > 0  # a larger first shape draws brighter images


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.0, 1.0), "high must be >= low"),
        ((0.0, 1.0, 0.01), r"a must be in \[0.05, 1000\], got 0.01"),
        ((0.0, 1.0, 1.0, 2000.0), r"b must be in \[0.05, 1000\], got 2000"),
        ((0.0, 1.0, 1.0, 1.0, True), "low must be > 0"),
        ((0.0, 1.0, 1.0, 1.0, 1.0), "log must be a bool"),
    ],
)
def test_bad_arguments_name_the_rule_and_the_value(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Beta(*arguments)

"""Distributions against torch.distributions, closed forms and finite differences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from art_domainrand.randomization import (
    Beta,
    Choice,
    Constant,
    LogUniform,
    Normal,
    Rotation,
    Scale,
    TruncatedNormal,
    Uniform,
)
from art_domainrand.randomization.core.distributions import as_distribution, icdf_columns, select

ALL = {
    "constant": Constant(0.3),
    "uniform": Uniform(-2.0, 3.0),
    "log_uniform": LogUniform(0.5, 4.0),
    "normal": Normal(1.0, 2.0),
    "truncated": TruncatedNormal(0.0, 1.0, -0.5, 2.0),
    "beta": Beta(-1.0, 2.0, 0.5, 3.0),
    "choice": Choice((1.0, 5.0, 2.0), (1.0, 2.0, 1.0)),
}


@pytest.mark.parametrize("name", ALL)
def test_values_stay_in_the_support_and_are_finite_on_the_whole_interval(name):
    low, high = ALL[name].support
    for dtype in (torch.float32, torch.float64):
        values = ALL[name].icdf(torch.linspace(0, 1, 1001, dtype=dtype))
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert values.min() >= low - 1e-6
        assert values.max() <= high + 1e-6


@pytest.mark.parametrize("name", ["uniform", "log_uniform", "normal", "truncated"])
def test_icdf_inverts_the_cdf(name):
    u = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    value = ALL[name].icdf(u)
    if name == "uniform":
        cdf = torch.distributions.Uniform(-2.0, 3.0).cdf(value)
    elif name == "log_uniform":
        cdf = torch.log(value / 0.5) / math.log(8)
    elif name == "normal":
        cdf = torch.distributions.Normal(1.0, 2.0).cdf(value)
    else:
        normal = torch.distributions.Normal(
            torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
        )
        ends = normal.cdf(torch.tensor([-0.5, 2.0], dtype=torch.float64))
        cdf = (normal.cdf(value) - ends[0]) / (ends[1] - ends[0])
    torch.testing.assert_close(cdf, u, atol=1e-7, rtol=0)


def test_choice_takes_each_value_with_its_weight():
    values = ALL["choice"].icdf((torch.arange(4000) + 0.5) / 4000)
    shares = [(values == value).double().mean().item() for value in (1.0, 5.0, 2.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=1e-3)


def test_an_option_of_weight_zero_is_never_picked():
    u = torch.tensor([0.0, 0.3, 0.999999])
    options = [torch.full_like(u, float(k)) for k in range(3)]
    assert set(select(u, (0.0, 1.0, 0.0), options).tolist()) == {1.0}


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: Uniform(a, a + b.exp()),
        lambda a, b: LogUniform(a.exp(), a.exp() + b.exp()),
        lambda a, b: Normal(a, b.exp()),
        lambda a, b: TruncatedNormal(a, b.exp(), a - b.exp(), a + 2 * b.exp()),
        lambda a, b: Constant(a * b),
    ],
)
def test_gradients_reach_the_bounds_and_the_point(make):
    inputs = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.3, -0.2)]
    u = torch.tensor([0.1, 0.45, 0.8], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b, u: make(a, b).icdf(u), (*inputs, u))


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_columns_together_are_the_columns_one_by_one(points):
    u = torch.tensor(points)[:, None].expand(-1, len(ALL)).contiguous()
    for column, (together, distribution) in enumerate(
        zip(icdf_columns(tuple(ALL.values()), u), ALL.values(), strict=True)
    ):
        assert torch.equal(together, distribution.icdf(u[:, column].contiguous()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(2, 1), "high must be >= low, got low=2, high=1"),
        (lambda: LogUniform(0, 1), "low must be > 0, got 0"),
        (lambda: Normal(0, -1), "std must be >= 0, got -1"),
        (lambda: TruncatedNormal(0, 0, 0, 1), "std must be > 0, got 0"),
        (lambda: TruncatedNormal(0, 1, 50, 51), "mass"),
        (lambda: Choice(()), "values must not be empty"),
        (lambda: Choice((1, 2), (1,)), "weights must have 2 entries, got 1"),
        (lambda: Choice((1, 2), (-1, 2)), "weights must be finite, >= 0"),
        (lambda: Constant(math.nan), "value must be finite, got nan"),
        (lambda: as_distribution("angle", (3, 1)), "angle: high must be >= low, got low=3, high=1"),
        (lambda: as_distribution("angle", "wide"), "angle must be a number"),
        (lambda: as_distribution("angle", True), "angle must be a number"),
        (lambda: Uniform(torch.zeros(2), 1), "low must be a number or a tensor with one element"),
        (lambda: Scale((-1.0, 1.0)), "factor must be > 0, got values from -1 to 1"),
        (lambda: Scale(1.0, vertical=Normal(1, 1)), "vertical must be > 0, got values from -inf to inf"),
    ],
)
def test_bad_arguments_name_the_rule_and_the_value(make, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        make()


def test_a_number_is_a_constant_and_a_pair_a_uniform_range():
    assert Rotation(30).angle == Constant(30.0)
    assert Rotation((-5, 10)).angle == Uniform(-5, 10)
    assert Rotation(Normal(0, 3)).angle == Normal(0, 3)

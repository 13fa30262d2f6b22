"""The draw modes: what defines each, uniform marginals, a smaller error, and a private generator."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest

from art_domainrand.core import hashing
from art_domainrand.core.random import DRAW, keys_of, member_seeds, uniform_field
from art_domainrand.randomization import Brightness, GaussianNoise, KorniaAugmentation, Pipeline, Rotation, Translation
from art_domainrand.randomization.core.sampling import CELLS, METHODS, keyed_points, sample_points

PIPELINE = Pipeline([Rotation(), Translation(), Brightness(), GaussianNoise()])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def unit_points(n, dimensions, source, method="uniform"):
    return sample_points(n, dimensions, source, None, method).u


def smooth(u):
    """A smooth function of five coordinates whose mean over the cube is 0."""
    return (u.double() - 0.5).sum(1) + torch.cos(2 * torch.pi * u[:, 0].double()) + ((u.double() ** 2) - 1 / 3).prod(1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 64])
def test_points_lie_inside_the_cube_on_the_midpoints_of_cells(method, n):
    u = unit_points(n, 3, generator(), method)
    assert u.shape == (n, 3)
    assert u.dtype == torch.float32
    cell = u.double() * CELLS - 0.5
    assert torch.equal(cell, cell.round())
    assert ((u > 0) & (u < 1)).all()


def test_antithetic_pairs_sum_to_one_exactly():
    u = unit_points(1000, 4, generator(), "antithetic")
    assert torch.equal(u[0::2] + u[1::2], torch.ones(500, 4))
    assert torch.equal(1 - u[0::2], u[1::2])
    odd = unit_points(7, 4, generator(), "antithetic")
    assert torch.equal(odd[0:6:2] + odd[1:6:2], torch.ones(3, 4))
    assert len(torch.unique(odd, dim=0)) == 7


def test_the_mean_of_a_linear_function_over_antithetic_pairs_has_no_variance():
    weight = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    means = [(unit_points(2, 4, generator(seed), "antithetic").double() @ weight).mean() for seed in range(50)]
    assert torch.stack(means).var() < 1e-25
    assert means[0] == pytest.approx(weight.sum().item() / 2, abs=1e-12)
    plain = [(unit_points(2, 4, generator(seed)).double() @ weight).mean() for seed in range(50)]
    assert torch.stack(plain).var() > 0.1  # 14.25 / 12 / 2 in expectation


@pytest.mark.parametrize("n", [8, 50, 64])
def test_a_stratified_draw_has_one_point_in_every_interval(n):
    u = unit_points(n, 5, generator(), "stratified").double()
    assert torch.equal((u * n).long().sort(dim=0).values, torch.arange(n)[:, None].expand(n, 5))
    orders = (u * n).long().T.tolist()
    assert len(set(map(tuple, orders))) == 5, "each axis has an order of its own"


def test_a_sobol_draw_is_a_net():
    """Every elementary interval of volume 1/64 in the first two dimensions holds one of 64 points."""
    u = unit_points(64, 2, generator(), "sobol").double()
    for across in (1, 2, 4, 8, 16, 32, 64):
        boxes = (u[:, 0] * across).long() * (64 // across) + (u[:, 1] * (64 // across)).long()
        assert boxes.sort().values.tolist() == list(range(64))


@pytest.mark.parametrize("method", ["sobol", "stratified"])
def test_the_error_of_a_mean_is_far_below_that_of_independent_points(method):
    def error(method):
        means = [smooth(unit_points(64, 5, generator(seed), method)).mean() for seed in range(200)]
        return torch.stack(means).square().mean().sqrt().item()

    assert error("uniform") == pytest.approx((0.92 / 64) ** 0.5, rel=0.15)  # the variance is 5/12 + 1/2 and a little
    assert error(method) < 0.15 * error("uniform")


@pytest.mark.parametrize("method", METHODS)
def test_marginals_are_uniform(method):
    # One row of each of many draws: a single draw is more even than chance, and would pass for that reason.
    for row in (0, 1, 5):
        rows = torch.stack([unit_points(6, 3, generator(seed), method)[row] for seed in range(1500)]).numpy()
        for column in range(3):
            assert kstest(rows[:, column], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_a_draw_repeats_from_its_generator_and_leaves_the_global_ones_alone(method):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again = (PIPELINE.sample(9, generator(3), method=method) for _ in range(2))
    other = PIPELINE.sample(9, generator(4), method=method)
    PIPELINE.sample(9, method=method)
    assert torch.equal(first.u, again.u)
    assert torch.equal(first.seeds, again.seeds)
    assert not torch.equal(first.u, other.u)
    assert len(torch.unique(first.seeds)) == 9
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()


@pytest.mark.parametrize("method", METHODS)
def test_successive_draws_from_one_generator_differ(method):
    source = generator()
    first, second = (PIPELINE.sample(4, source, method=method) for _ in range(2))
    assert not torch.equal(first.u, second.u)


@pytest.mark.parametrize("method", METHODS)
def test_a_draw_of_any_method_is_applied_like_any_other(method):
    x = torch.rand(6, 3, 12, 12, generator=generator(1))
    draw = PIPELINE.sample(6, generator(), method=method)
    assert torch.equal(PIPELINE.apply(x, draw)[2:4], PIPELINE.apply(x[2:4], draw[2:4]))


@pytest.mark.parametrize("method", METHODS)
def test_a_pipeline_without_coordinates_can_be_drawn(method):
    import kornia.augmentation as K  # noqa: N812

    draw = Pipeline(KorniaAugmentation(K.RandomHorizontalFlip())).sample(3, generator(), method=method)
    assert draw.u.shape == (3, 0)


def test_bad_arguments_name_the_rule_and_the_value():
    with pytest.raises(ValueError, match=r"method must be one of \['uniform', 'antithetic', .*\], got 'halton'"):
        PIPELINE.sample(3, method="halton")
    for n in (-1, 2.0, True, "3"):
        with pytest.raises(ValueError, match=f"n must be an int >= 0, got {n!r}"):
            PIPELINE.sample(n)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_keyed_points_belong_to_their_key_in_any_company(method, copies):
    keys = keys_of(0, DRAW, torch.arange(40))
    whole = keyed_points(keys, copies, 3, method)
    order = torch.randperm(40, generator=generator())
    parts = [keyed_points(some, copies, 3, method) for some in keys[order].split(7)]
    rows = (order[:, None] * copies + torch.arange(copies)).flatten()
    assert torch.equal(torch.cat([part.u for part in parts]), whole.u[rows])
    assert torch.equal(torch.cat([part.seeds for part in parts]), whole.seeds[rows])
    assert len(whole.seeds.unique()) == 40 * copies


@pytest.mark.parametrize("method", METHODS)
def test_every_keyed_copy_is_uniform(method):
    u = keyed_points(keys_of(0, DRAW, torch.arange(3000)), 5, 3, method).u.view(3000, 5, 3)
    for copy in range(5):
        for column in range(3):
            assert kstest(u[:, copy, column].numpy(), "uniform").pvalue > 1e-4


def test_stratified_copies_of_a_key_fill_every_axis_evenly():
    u = keyed_points(keys_of(0, DRAW, torch.arange(30)), 6, 3, "stratified").u.view(30, 6, 3).double()
    assert torch.equal((u * 6).long().sort(1).values, torch.arange(6).view(1, 6, 1).expand(30, 6, 3))


@pytest.mark.parametrize("method", METHODS)
def test_few_and_many_points_are_the_same_bits(method, monkeypatch):
    keys = keys_of(0, DRAW, torch.arange(9))
    few = keyed_points(keys, 4, 3, method)
    monkeypatch.setattr(hashing, "NUMPY_HASHES", -1)
    many = keyed_points(keys, 4, 3, method)
    assert torch.equal(few.u, many.u)
    assert torch.equal(few.seeds, many.seeds)


@pytest.mark.parametrize("copies", [1, 2])
def test_coordinates_and_pixel_fields_of_a_draw_are_independent(copies):
    """The chi-square test of 16 by 16 cells for all pairs of what belongs to one image, and of its copies."""
    n = 12_800
    draw = keyed_points(keys_of(3, DRAW, torch.arange(n)), copies, 3)
    fields = [
        uniform_field(seeds, 1) for seeds in (draw.seeds, member_seeds(draw.seeds, 0), member_seeds(draw.seeds, 1))
    ]
    columns = torch.cat([draw.u, *fields], dim=1).view(n, -1)
    for one, other in itertools.combinations(columns.unbind(1), 2):
        cells = (one * 16).long() * 16 + (other * 16).long()
        assert chisquare(torch.bincount(cells, minlength=256).numpy()).pvalue > 1e-5

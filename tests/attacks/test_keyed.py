"""Random numbers that belong to an image: independent, uniform, and the same in any company."""

import numpy as np
import pytest
import torch
from scipy import stats

from art_domainrand.attacks.engine.starts import gamma, uniform_in_ball
from art_domainrand.core.norms import lp_norm
from art_domainrand.core.random import derive, image_keys, normal, times_before
from art_domainrand.randomization import Brightness, GaussianNoise, Pipeline, Rotation
from art_domainrand.randomization.core.sampling import keyed_draws as draws

NORMS = [1.0, 1.5, 2.0, 3.0, torch.inf]
PIPELINE = Pipeline([Rotation((-20, 20)), Brightness((-0.2, 0.2)), GaussianNoise((0.0, 0.1))])


def some_images(n: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, 6, 7, generator=torch.Generator().manual_seed(seed))


def test_an_image_has_its_key_in_any_company():
    x = some_images()
    keys, order = image_keys(x), torch.randperm(len(x))
    assert len(keys.unique()) == len(x)
    assert torch.equal(image_keys(x[order]), keys[order])
    assert torch.equal(image_keys(x[3:17]), keys[3:17])
    assert image_keys(x[:0]).shape == (0,)


def test_one_pixel_changes_the_key_and_copies_have_keys_of_their_own():
    x = some_images(1)
    other = x.clone()
    other[0, 2, 5, 6] = torch.nextafter(other[0, 2, 5, 6], torch.tensor(2.0))
    assert not torch.equal(image_keys(x), image_keys(other))
    copies = image_keys(torch.cat([x, other, x, x]))
    assert len(copies.unique()) == 4
    assert torch.equal(copies[:2], torch.cat([image_keys(x), image_keys(other)]))


@pytest.mark.parametrize("seed", range(3))
def test_times_before_counts_earlier_equals(seed):
    keys = torch.randint(0, 6, (30,), generator=torch.Generator().manual_seed(seed))
    assert times_before(keys).tolist() == [int((keys[:i] == keys[i]).sum()) for i in range(30)]


def test_derived_keys_differ_by_every_number_on_the_path():
    keys = torch.arange(50)
    paths = [(0,), (1,), (0, 0), (0, 1), (1, 0), (2**63 - 1,), (0, 0, 0)]
    found = torch.stack([derive(keys, *path) for path in paths])
    assert len(found.unique()) == found.numel()
    assert torch.equal(derive(keys, 3, torch.full((50,), 4)), derive(keys, 3, 4)), "numbers for all, or one for each"


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("part", [1, 7, 16])
def test_numbers_do_not_depend_on_the_batch(norm, part):
    keys = image_keys(some_images())
    for make in (lambda k: uniform_in_ball(norm, k, (3, 5)), lambda k: normal(k, (7,))):
        assert torch.equal(torch.cat([make(some) for some in keys.split(part)]), make(keys))


@pytest.mark.parametrize("shape", [1.02, 1.5, 2.0])
def test_gamma_numbers_have_their_distribution(shape):
    found = gamma(derive(torch.arange(4000), 1), 5, shape).flatten().numpy()
    assert stats.kstest(found, "gamma", args=(shape,)).pvalue > 1e-3


@pytest.mark.parametrize("method", ["uniform", "antithetic", "sobol"])
def test_every_draw_is_uniform_and_none_depends_on_the_others(method):
    keys = image_keys(some_images(500))
    found = draws(PIPELINE, keys, 4, method)
    assert found.u.shape == (2000, len(PIPELINE.parameters))
    assert torch.equal(draws(PIPELINE, keys[[7, 3]], 4, method).u, found.u.view(500, 4, -1)[[7, 3]].flatten(0, 1))
    assert len(found.seeds.unique()) == 2000
    for copy in range(4):
        for column in found.u.view(500, 4, -1)[:, copy].T:
            assert stats.kstest(column.numpy(), "uniform").pvalue > 1e-4


def test_sobol_draws_fill_every_axis_evenly():
    u = draws(PIPELINE, image_keys(some_images(20)), 8, "sobol").u.view(20, 8, -1)
    eighths = (u * 8).long().sort(1).values
    assert torch.equal(eighths, torch.arange(8).view(1, 8, 1).expand_as(eighths))


@pytest.mark.parametrize("norm", NORMS)
def test_uniform_start_has_the_radius_of_a_uniform_point(norm):
    """The norm of a uniform point of a d-dimensional ball is distributed as u^(1/d): mean d/(d+1)."""
    d, n = 6, 40_000
    points = uniform_in_ball(norm, derive(torch.arange(n), 0), (d,))
    radius = lp_norm(points, norm).flatten().double().numpy()
    assert radius.max() <= 1 + 1e-6
    assert radius.mean() == pytest.approx(d / (d + 1), abs=0.003)
    assert np.quantile(radius**d, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.015)
    assert points.mean(0).abs().max() < 0.02


def test_uniform_start_in_l2_matches_rejection_sampling():
    """Squared first coordinate of uniform points in the L2 ball: compared with points of the cube that fall inside."""
    cube = torch.rand(400_000, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    inside = cube[cube.norm(dim=1) <= 1]
    ours = uniform_in_ball(2.0, derive(torch.arange(len(inside)), 2), (4,))
    assert ours[:, 0].square().mean() == pytest.approx(inside[:, 0].square().mean().item(), rel=0.02)
    assert ours[:, 0].pow(4).mean() == pytest.approx(inside[:, 0].pow(4).mean().item(), rel=0.04)


@pytest.mark.parametrize("norm", [20, 50, 300])
def test_uniform_starts_for_large_p_match_rejection_sampling(norm):
    """The ball is nearly the cube, of whose points those inside are taken."""
    cube = torch.rand(60_000, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    inside = cube[(cube.abs() ** norm).sum(1) <= 1].abs().flatten().numpy()
    ours = uniform_in_ball(float(norm), derive(torch.arange(20_000), 0), (16,)).abs().flatten().numpy()
    shares = [0.01, 0.25, 0.5, 0.9]
    assert np.quantile(ours, shares) == pytest.approx(np.quantile(inside, shares), abs=0.005)

"""Weather by what a person would say of it, and the fields it is made of."""

import math

import pytest
import torch

from art_domainrand.randomization import Draw, Fog, Frost, Pipeline, Rain, Snow, Spatter, SunFlare
from art_domainrand.randomization.numerics.clouds import cloud, plasma
from art_domainrand.randomization.numerics.frost import crystals
from art_domainrand.randomization.numerics.particles import tiles

SEEDS = torch.arange(6)


def applied(transform, x, seed=0):
    return Pipeline(transform)(x, torch.Generator().manual_seed(seed))


def grey_images(n=6, size=64, value=0.4):
    return torch.full((n, 3, size, size), value)


@pytest.mark.parametrize("decay", [1.3, 2.0, 3.0])
def test_plasma_touches_zero_and_one_and_is_smoother_the_faster_detail_decays(decay):
    field = plasma(SEEDS, 64, torch.full((6,), decay))
    assert (field.amin((1, 2)) == 0).all()
    torch.testing.assert_close(field.amax((1, 2)), torch.ones(6))
    smoother = plasma(SEEDS, 64, torch.full((6,), decay + 0.7))
    rough = [f.diff(dim=2).square().mean() / f.var() for f in (field, smoother)]
    assert rough[1] < rough[0]


def test_plasma_with_almost_no_noise_in_fine_levels_is_the_interpolation_of_the_coarse_one():
    # With a huge decay only the first level counts: the middle is drawn, its copies lie a quarter of it away.
    field = plasma(SEEDS, 4, torch.full((6,), 1e4, dtype=torch.float64))
    corner, square = field[:, 0, 0], field[:, 2, 2]
    torch.testing.assert_close(field[:, 1, 1], (corner + square + field[:, 0, 2] + field[:, 2, 0]) / 4)


def test_a_cloud_is_the_corner_of_the_next_power_of_two():
    decay = torch.full((6,), 2.0)
    assert torch.equal(cloud(SEEDS, 20, 33, decay)[:, 0], plasma(SEEDS, 64, decay)[:, :20, :33])


@pytest.mark.parametrize("roughness", [0.0, 0.5, 1.0])
def test_crystals_are_standardized(roughness):
    ice = crystals(torch.zeros(6, 3, 48, 40), SEEDS, torch.full((6,), roughness))
    torch.testing.assert_close(ice.mean((1, 2, 3)), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(ice.square().mean((1, 2, 3)), torch.ones(6), atol=1e-3, rtol=0)


def test_tiles_follow_the_lean():
    x = torch.zeros(6, 1, 64, 64)
    width, length = torch.full((6,), 8.0), torch.full((6,), 1e6)
    straight, _, _ = tiles(x, SEEDS, torch.zeros(6), width, length, torch.ones(6), 1)[0].pixels()
    assert (straight == straight[:, :, :1]).all(), "streaks without lean are vertical"
    level, _, _ = tiles(x, SEEDS, torch.full((6,), 90.0), width, length, torch.ones(6), 1)[0].pixels()
    torch.testing.assert_close(level[..., :1].expand_as(level), level, atol=1e-3, rtol=0)


@pytest.mark.parametrize("amount", [0.0, 0.3, 1.0])
def test_the_amount_is_the_share_of_tiles_with_something_in_them(amount):
    x = torch.zeros(6, 1, 256, 256)
    three = torch.full((6,), 4.0)
    tiling, _ = tiles(x, SEEDS, torch.zeros(6), three, three, torch.full((6,), amount), 3)
    _, _, (present,) = tiling.pixels()
    # What fades in counts in part: amount (1 + FADE) - FADE / 2 on average, where that is neither cut at 0 nor at 1.
    expected = {0.0: 0.0, 0.3: 0.3 * 1.25 - 0.125, 1.0: 1.0}[amount]
    assert present.mean().item() == pytest.approx(expected, abs=0.01)


def test_fog_is_koschmiders_law():
    x = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    changed = applied(Fog(density=1.2, patchiness=0.0, air=0.8), x)
    torch.testing.assert_close(changed, 0.8 + (x - 0.8) * math.exp(-1.2))
    torch.testing.assert_close(applied(Fog(density=0.0), x), x)
    patchy = applied(Fog(density=1.2, patchiness=0.9, air=0.8), x)
    # The transmission of depths from 0.1 to 1.9 times the density.
    share = ((0.8 - patchy) / (0.8 - x))[(x - 0.8).abs() > 0.05]
    assert share.min() >= math.exp(-1.2 * 1.9) - 1e-4
    assert share.max() <= math.exp(-1.2 * 0.1) + 1e-4


@pytest.mark.parametrize(
    "transform",
    [
        Rain(amount=0.0, gloom=0.0),
        Rain(opacity=0.0, gloom=0.0),
        Snow(amount=0.0, whiteness=0.0),
        Frost(strength=0.0, keep=1.0),
        Spatter(opacity=0.0, mud=1.0),
        SunFlare(strength=0.0, ghosts=0.0),
    ],
)
def test_none_of_it_changes_nothing(transform):
    x = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(applied(transform, x), x)


def test_rain_streaks_are_longer_along_the_fall_than_across():
    x = grey_images(value=0.0)
    streaks = applied(Rain(amount=0.5, angle=0.0, length=0.3, width=0.03, gloom=0.0), x)[:, :1]
    along, across = streaks.diff(dim=2).abs().mean(), streaks.diff(dim=3).abs().mean()
    assert streaks.amax() > 0.2
    assert across > 3 * along


@pytest.mark.parametrize("transform", [Rain(), Snow()])
def test_no_bit_depends_on_what_is_worked_out_in_blocks(transform):
    # Images of more pixels than a block go through one by one, but together where the draw wants a gradient.
    x = torch.rand(3, 3, 260, 255, generator=torch.Generator().manual_seed(0))
    pipeline = Pipeline(transform)
    draw = pipeline.sample(3, torch.Generator().manual_seed(0))
    blocks = pipeline.apply(x, draw)
    weight = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    gradients = []
    for learned in (False, True):
        source = x.clone().requires_grad_()
        changed = pipeline.apply(source, Draw(draw.u.clone().requires_grad_(learned), draw.seeds))
        assert torch.equal(changed, blocks)
        gradients += torch.autograd.grad(changed, source, weight)
    torch.testing.assert_close(*gradients)


def test_gloom_dims_the_scene():
    x = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(applied(Rain(amount=0.0, gloom=0.25), x), 0.75 * x)


def test_flakes_of_the_default_ranges_leave_the_scene_to_be_seen():
    changed = applied(Snow(whiteness=0.0), torch.full((64, 3, 96, 96), 0.2))
    covered = (changed > 0.4).double().mean((1, 2, 3))
    assert covered.min() > 0.02
    assert covered.max() < 0.35
    assert 0.05 < covered.mean() < 0.2


def test_snow_brightens_and_more_of_it_covers_more():
    x = grey_images()
    few, many = (applied(Snow(amount=amount, whiteness=0.0), x) for amount in (0.2, 0.8))
    assert (few >= x - 1e-6).all()
    assert (many >= few - 1e-6).all()
    assert (many > 0.9).float().mean() > 2 * (few > 0.9).float().mean() > 0
    # A grey scene under snow light of full whiteness is 1.5 x + 0.5.
    torch.testing.assert_close(applied(Snow(amount=0.0, whiteness=1.0), x), 1.5 * x + 0.5)


def test_frost_is_a_weighted_sum_and_bluish():
    x = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pane = applied(Frost(strength=1.0, keep=0.0), x)
    torch.testing.assert_close(applied(Frost(strength=0.5, keep=0.7), x), 0.7 * x + 0.5 * pane)
    assert (pane[:, 2].mean((1, 2)) > pane[:, 0].mean((1, 2))).all()


@pytest.mark.parametrize("amount", [0.05, 0.2])
def test_spatter_covers_the_share_it_is_told(amount):
    x = grey_images(12, 128)
    touched = (applied(Spatter(amount=amount, size=0.01, mud=1.0), x) != x).any(1)
    assert touched.float().mean().item() == pytest.approx(amount, rel=0.2)
    # Mud is brown: red over green over blue where it hides most.
    hidden = applied(Spatter(amount=0.2, size=0.02, mud=1.0, opacity=1.0), x)
    red, green, blue = hidden.flatten(2).amin(2).unbind(1)
    assert (red > green).all()
    assert (green > blue).all()


def test_the_flare_is_brightest_at_the_sun_and_its_ghosts_lie_on_the_line_through_the_centre():
    x = grey_images(1, 101, 0.0)
    glare = applied(SunFlare(strength=1.0, x=0.2, y=0.3, radius=0.1, ghosts=0.0), x)[0, 0]
    assert divmod(glare.argmax().item(), 101) == (30, 20)
    with_ghosts = applied(SunFlare(strength=0.0, x=0.2, y=0.3, radius=0.1, ghosts=1.0), x)[0].sum(0)
    rows, columns = torch.nonzero(with_ghosts > 0).double().unbind(1)
    distance = ((columns - 50) * 20 - (rows - 50) * 30).abs() / math.hypot(20, 30)
    assert distance.max() < 0.7 * 0.1 * 101 + 1.5  # no farther from the line than the largest ghost's radius
    assert with_ghosts[71, 81] > 0  # the mirror image of the sun


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fog(density=-1.0), "density"),
        (lambda: Rain(amount=1.5), "amount"),
        (lambda: Snow(speed=0.5), "speed"),
        (lambda: Frost(roughness=2.0), "roughness"),
        (lambda: Spatter(size=0.5), "size"),
        (lambda: SunFlare(ghosts=-0.1), "ghosts"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

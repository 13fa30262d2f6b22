"""Transforms of many parameters, each against what it is at values for which that can be worked out."""

import math

import kornia
import numpy as np
import pytest
import torch
from scipy.fft import dctn

from art_domainrand.core.hashing import hash_field
from art_domainrand.randomization import (
    TRANSFORMS,
    DCTNoise,
    Draw,
    Elastic,
    FlowField,
    GaborNoise,
    Glitch,
    Kaleidoscope,
    Pipeline,
    PixelBlocks,
    ReColor,
    Snowflakes,
    Wood,
    imagenet_ua,
)
from art_domainrand.randomization.domains.unforeseen import UNFORESEEN
from art_domainrand.randomization.numerics.jpeg import TO_YCC
from art_domainrand.randomization.numerics.luv import from_luv, to_luv
from art_domainrand.randomization.unforeseen.latents import within_rms

NOTHING = {
    "gabor_noise": {"strength": 0.0},
    "snowflakes": {"strength": 0.0, "whiteness": 0.0},
    "pixel_blocks": {"strength": 0.0},
    "dct_noise": {"strength": 0.0},
    "kaleidoscope": {"opacity": 0.0, "edge": 0.0},
    "glitch": {"strength": 0.0},
    "wood": {"depth": 0.0},
    "flow_field": {"strength": 0.0},
    "recolor": {"strength": 0.0},
}


def images(*shape, seed=1, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def applied(transform, x, seed=0, **chosen):
    """The transform with its latents drawn, but for those whose name begins with a key of ``chosen``, at that value.

    A value is one of the latent itself, a number or a tensor that broadcasts to the coordinates in their order.
    """
    pipeline = Pipeline(transform)
    draw = pipeline.sample(len(x), torch.Generator().manual_seed(seed))
    u = draw.u.to(x.dtype)
    for stem, value in chosen.items():
        columns = [place for place, name in enumerate(pipeline.parameters) if name.startswith(f"0.{stem}")]
        low, high = pipeline.parameters[list(pipeline.parameters)[columns[0]]].support
        u[:, columns] = (torch.as_tensor(value, dtype=x.dtype) - low) / (high - low) + torch.zeros_like(u[:, columns])
    return pipeline.apply(x, Draw(u, draw.seeds))


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_amplitude_of_zero_changes_nothing(name, channels):
    if name == "recolor" and channels == 1:
        pytest.skip("needs RGB")
    x = images(3, channels, 13, 17)
    torch.testing.assert_close(applied(TRANSFORMS[name](**NOTHING[name]), x), x, atol=1e-12, rtol=0)
    assert (applied(TRANSFORMS[name](), x) - x).abs().max() > 1e-3


def test_a_latent_is_projected_onto_the_ball_and_left_alone_inside():
    latent, most = images(5, 3, 4, 4) * 2 - 1, torch.tensor([0.1, 0.3, 0.5, 0.7, 2.0], dtype=torch.float64)
    projected = within_rms(latent, most)
    length = latent.flatten(1).square().mean(1).sqrt()
    torch.testing.assert_close(projected.flatten(1).square().mean(1).sqrt(), torch.minimum(length, most))
    torch.testing.assert_close(projected, latent * torch.minimum(most / length, torch.ones(())).view(-1, 1, 1, 1))


# ---- Gabor noise


def test_a_single_impulse_is_a_wave_under_its_window():
    """One weight of 1: the bound times exp(-r^2 / 2 s^2) cos(2 pi f r.n), pixel by pixel."""
    transform = GaborNoise(0.1, frequency=5.0, angle=30.0, size=0.15, cells=4, directions=1)
    weights = torch.zeros(3, 4, 4)
    weights[1, 2, 0] = 1
    height, width = 16, 24
    noise = applied(transform, torch.zeros(1, 3, height, width, dtype=torch.float64), weight=weights.flatten())[0]
    s, bound = 0.15 * 16, 0.1 * math.sqrt(6 * height * width / 16 / math.pi) / (0.15 * 16)
    expected = np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        dy, dx = row + 0.5 - 2.5 * height / 4, column + 0.5 - 0.5 * width / 4
        along = dx * math.cos(math.pi / 6) + dy * math.sin(math.pi / 6)
        expected[row, column] = (
            bound * math.exp(-(dx * dx + dy * dy) / (2 * s * s)) * math.cos(2 * math.pi * 5 / 16 * along)
        )
    np.testing.assert_allclose(noise[1], expected, atol=1e-12)
    assert noise[0].abs().max() == noise[2].abs().max() == 0


@pytest.mark.parametrize("directions", [1, 3])
def test_strength_is_the_standard_deviation_of_random_gabor_noise(directions):
    transform = GaborNoise(0.1, frequency=(5.0, 7.0), size=0.2, cells=8, directions=directions)
    noise = applied(transform, torch.zeros(256, 3, 24, 24))[:, :, 8:16, 8:16]
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 0.1) < 0.01


# ---- Snowflakes


def test_flakes_only_brighten_and_by_the_fourth_power_of_what_they_may():
    x = images(6, 3, 32, 32)
    snowed = applied(Snowflakes(1.0, 0.0, layers=1), x, flake=0.8)
    assert (snowed >= x).all()
    opacity = (snowed - x) / (1 - x)
    torch.testing.assert_close(opacity.amax((1, 2, 3)), torch.full((6,), 0.8**4, dtype=torch.float64))
    assert (applied(Snowflakes(0.5, 0.0, layers=1), x, flake=1.0) <= x + 0.5**4 * (1 - x) + 1e-12).all()


def test_every_flake_has_a_place_of_its_own():
    """One flake at a time, and all of them: what is covered adds up, and no two overlap."""
    x = torch.zeros(1, 1, 48, 48, dtype=torch.float64)
    transform = Snowflakes(1.0, 0.0, angle=20.0, size=0.4, layers=1, cells=3)
    alone = [applied(transform, x, flake=one) for one in torch.eye(9)]
    assert all(0 < one.mean() < 1 / 9 for one in alone)
    torch.testing.assert_close(sum(alone), applied(transform, x, flake=1.0))


@pytest.mark.parametrize(("data", "side", "square"), [("cifar10", 32, 4.95), ("imagenet", 224, 12.7)])
def test_a_flake_weighs_as_much_as_the_authors(data, side, square):
    """The mean sum of squares of their 2000 kernels; in float64, in one layer."""
    (snow,) = imagenet_ua("snow", "high", data).transforms
    alone = Snowflakes(1.0, 0.0, size=snow.size, layers=1, cells=snow.cells, slimness=snow.slimness)
    covered = applied(alone, torch.zeros(24, 1, side, side, dtype=torch.float64), flake=1.0)
    assert covered.square().sum((1, 2, 3)).mean() / snow.cells**2 == pytest.approx(square, rel=0.06)


# ---- Blocks


def test_blocks_at_full_share_are_their_means_and_at_none_the_image():
    x = images(2, 3, 12, 20)
    means = np.empty((2, 3, 12, 20))
    for row, column in np.ndindex(4, 4):
        block = np.s_[:, :, 3 * row : 3 * row + 3, 5 * column : 5 * column + 5]
        means[block] = x[block].mean((2, 3), keepdim=True)
    np.testing.assert_allclose(applied(PixelBlocks(1.0, blocks=4), x, share=1.0), means, atol=1e-12)
    one = torch.zeros(3, 4, 4)
    one[1, 0, 2] = 1.0
    changed = applied(PixelBlocks(1.0, blocks=4), x, share=one.flatten())
    assert torch.equal((changed != x).any(0).any(-1).any(-1), torch.tensor([False, True, False]))
    np.testing.assert_allclose(changed[:, 1, :3, 10:15], means[:, 1, :3, 10:15], atol=1e-12)
    assert torch.equal(changed[:, 1, 3:], x[:, 1, 3:])


def test_noise_of_a_block_has_the_coefficients_that_were_chosen():
    signs = torch.where(images(3, 32, 32, seed=4) < 0.5, -1.0, 1.0)
    x = images(1, 3, 32, 32)
    changed = applied(DCTNoise(3 / 255, blocks=4, frequencies=8), x, coefficient=signs.flatten())
    planes = np.einsum("pc,chw->phw", np.array(TO_YCC), (changed - x)[0])
    blocks = planes.reshape(3, 4, 8, 4, 8).transpose(0, 1, 3, 2, 4)
    found = dctn(blocks, axes=(3, 4), norm="ortho").transpose(0, 1, 3, 2, 4).reshape(3, 32, 32)
    np.testing.assert_allclose(found, 3 / 255 * signs, atol=1e-6)


@pytest.mark.parametrize("frequencies", [1, 2, 5])
def test_strength_is_the_rms_of_the_noise_whatever_the_frequencies(frequencies):
    noise = applied(DCTNoise(0.02, blocks=3, frequencies=frequencies), torch.zeros(1, 1, 18, 24), coefficient=1.0)
    torch.testing.assert_close(noise.square().mean().sqrt(), torch.tensor(0.02))


# ---- Kaleidoscope


def test_shapes_are_as_large_as_they_are_said_to_be_and_hide_the_image_by_their_opacity():
    """A circle, a square and a triangle of side s cover pi s^2 / 4, s^2 and 3/4 sqrt(3) s^2."""
    seeds = 40
    black, white = torch.zeros(seeds, 1, 64, 64), torch.ones(seeds, 1, 64, 64)
    transform = Kaleidoscope(0.0, opacity=0.75, size=0.25, edge=0.0, shapes=1)
    hidden = 1 - (applied(transform, white) - applied(transform, black))
    assert hidden.max() <= 0.75 + 1e-6
    areas = hidden.sum((1, 2, 3)) / 0.75
    uncut = areas[hidden[:, 0, [0, -1]].sum((1, 2)) + hidden[:, 0, :, [0, -1]].sum((1, 2)) == 0]
    known = torch.tensor([math.pi / 4, 1, 0.75 * math.sqrt(3)]) * 16**2
    distance, kind = (uncut[:, None] / known - 1).abs().min(1)
    assert distance.max() < 0.03
    assert len(kind.unique()) == 3


def test_shapes_are_bright_and_their_edges_dark_as_far_as_strength_goes():
    x = torch.full((16, 3, 48, 48), 0.5)
    plain, ringed = (applied(Kaleidoscope(0.0, 1.0, 0.3, edge, shapes=1), x) for edge in (0.0, 0.1))
    smaller = applied(Kaleidoscope(0.0, 1.0, 0.2, 0.0, shapes=1), x)
    inside = (smaller != x).any(1)  # without the half covered pixels at the edge
    assert inside.any((1, 2)).all()
    assert (plain.amax(1)[inside] > 0.8).all(), "value"
    assert (plain.amin(1)[inside] < 0.3 * plain.amax(1)[inside] + 1e-6).all(), "saturation"
    torch.testing.assert_close(ringed.permute(0, 2, 3, 1)[inside], plain.permute(0, 2, 3, 1)[inside])
    assert ((ringed == 0).all(1) & ~inside).any((1, 2)).all()
    for sign in (-1.0, 1.0):
        moved = applied(Kaleidoscope(0.1, 1.0, 0.3, 0.0, shapes=1), x, colour=sign) - plain
        torch.testing.assert_close((sign * moved).amax((1, 2, 3)), torch.full((16,), 0.1))
    brightest = applied(Kaleidoscope(0.1, 1.0, 0.3, 0.1, shapes=1), x, colour=0.0, edge_=1.0) - ringed
    assert ((brightest - 0.1).abs() < 1e-6).any()
    assert brightest.max() < 0.1 + 1e-6


def test_edges_hide_the_image_whatever_the_opacity_of_shapes():
    white = torch.ones(16, 1, 48, 48)
    ringed = applied(Kaleidoscope(0.0, opacity=0.0, size=0.3, edge=0.1, shapes=1), white)
    assert (ringed.amin((1, 2, 3)) == 0).all()
    plain = applied(Kaleidoscope(0.0, opacity=0.0, size=0.3, edge=0.0, shapes=1), white)
    assert torch.equal(plain, white)


# ---- Glitch and wood


def test_a_shift_by_whole_pixels_is_a_mirrored_roll_of_its_bar_and_channel():
    x = images(1, 3, 8, 10)
    shifts = torch.tensor([[3, 0, -2, 1], [0, 0, 0, -4], [1, 2, 3, 4]])
    changed = applied(Glitch(0.5, lines=4), x, shift=(shifts / 5).flatten())
    mirrored = np.pad(x[0].numpy(), ((0, 0), (0, 0), (9, 9)), mode="reflect")
    for channel, row in np.ndindex(3, 8):
        start = 9 + int(shifts[channel, row // 2])
        np.testing.assert_allclose(changed[0, channel, row], mirrored[channel, row, start : start + 10], atol=1e-6)


def test_rings_of_wood_lie_where_the_sine_is_zero_and_bend_by_what_was_chosen():
    x = torch.ones(1, 1, 30, 40, dtype=torch.float64)
    for bend in (0.0, 0.5, -1.0):
        wood = applied(Wood(0.1, depth=0.8, rings=3.0, nodes=4), x, bend=bend)[0, 0]
        for row, column in ((0, 0), (14, 20), (29, 7), (3, 33)):
            radius = math.hypot((2 * row + 1) / 30 - 1, (2 * column + 1) / 40 - 1) + 0.1 * bend
            shade = (math.sin(3 * math.pi * radius) ** 2 + 1e-6) ** (1 / 16)
            assert abs(wood[row, column] - (0.2 + 0.8 * shade)) < 1e-9


# ---- Flow and colours


def test_a_flow_of_drawn_controls_is_the_elastic_field_of_that_draw():
    x, seeds = images(2, 3, 17, 21), torch.tensor([5, 6])
    elastic = Elastic(0.3, cells=3, padding="border")
    drawn = elastic.apply(x, {"strength": torch.full((2,), 0.3, dtype=torch.float64), "seed": seeds})
    flow = FlowField(0.3, rms=0.48, cells=3)
    controls = hash_field(seeds, 72).double() * 2.0**-31
    chosen = {name: controls[:, place] for place, name in enumerate(list(flow.parameters)[2:])}
    values = {
        "strength": torch.full((2,), 0.3, dtype=torch.float64),
        "rms": torch.full((2,), 0.48, dtype=torch.float64),
        **chosen,
    }
    torch.testing.assert_close(flow.apply(x, values), drawn, atol=1e-9, rtol=0)


def test_a_flow_is_bounded_by_its_controls_and_labels_find_the_way_back():
    flow = Pipeline(FlowField(0.48, rms=0.3, cells=4))
    draw = flow.sample(8, torch.Generator().manual_seed(0))
    points = torch.rand(8, 20, 2, generator=torch.Generator().manual_seed(1)) * 20 + 6
    moved = flow.geometry(draw, (33, 33)).keypoints(points)
    assert 0.5 < (moved - points).abs().max() <= 0.48 * 8 + 1e-3
    back = flow.inverse(draw, (33, 33)).keypoints(moved)
    assert (back - points).abs().max() < 0.01


@pytest.mark.parametrize("data", ["cifar10", "imagenet"])
@pytest.mark.parametrize("name", UNFORESEEN["cifar10"])
def test_a_bound_goes_as_far_as_the_attack_and_is_refused_beyond(name, data):
    most = UNFORESEEN[data][name].most
    assert UNFORESEEN[data][name].eps[2] <= most
    (transform,) = imagenet_ua(name, most, data).transforms
    assert getattr(transform, UNFORESEEN[data][name].scaled).support[1] > 0
    for eps in (most * 1.01, 1e9):
        with pytest.raises(ValueError, match=f"level must be at most .* for '{name}'"):
            imagenet_ua(name, eps, data)


def test_recolouring_moves_the_colours_of_the_grid_as_chosen_and_equal_ones_alike():
    moves = images(3, 2, 2, 2, seed=3) * 2 - 1  # channel, blue, green, red
    corners = torch.tensor([[r, g, b] for b in (0, 1) for g in (0, 1) for r in (0, 1)], dtype=torch.float64)
    x = corners.T.reshape(1, 3, 4, 2)
    changed = applied(ReColor(0.2, nodes=2, colour_space="rgb"), x, move=moves.flatten())
    torch.testing.assert_close(changed - x, 0.2 * moves.reshape(1, 3, 4, 2))
    middle = applied(ReColor(0.2, nodes=2, colour_space="rgb"), torch.full_like(x, 0.5), move=moves.flatten()) - 0.5
    torch.testing.assert_close(middle, 0.2 * moves.mean((1, 2, 3)).view(1, 3, 1, 1).expand_as(x))


def test_luv_is_kornias_in_shares_and_leads_back():
    x = torch.cat([images(1, 3, 16, 16, seed=5), torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)])
    luv = to_luv(x)
    theirs = kornia.color.rgb_to_luv(x)
    shares = torch.stack([theirs[:, 0] / 100, (theirs[:, 1] + 100) / 200, (theirs[:, 2] + 100) / 200], 1)
    torch.testing.assert_close(luv, shares, atol=2e-3, rtol=0)  # the white is theirs to four digits, ours the paper's
    torch.testing.assert_close(from_luv(luv), x, atol=2e-3, rtol=0)


def test_recolouring_moves_lightness_and_chromaticity_as_chosen_within_the_bound():
    x = 0.35 + 0.3 * images(2, 3, 6, 6, seed=4)
    everywhere = torch.tensor([0.5, -1.0, 0.8], dtype=x.dtype)
    move = everywhere[:, None].expand(3, 8).flatten()
    changed = applied(ReColor(0.05, nodes=2), x, move=move)
    change = to_luv(changed) - to_luv(x)
    torch.testing.assert_close(change, (0.05 * everywhere).view(1, 3, 1, 1).expand_as(x), atol=2e-4, rtol=0)
    drawn = applied(ReColor(0.05, nodes=3), x, move=images(81, seed=6).flatten() * 2 - 1)
    assert 0.01 < (to_luv(drawn) - to_luv(x)).abs().max() <= 0.05 + 2e-4


def test_recolouring_has_finite_slopes_on_black_and_white():
    x = torch.stack([torch.full((3, 2, 2), value) for value in (0.0, 1e-6, 1e-3, 0.04, 1.0)]).requires_grad_()
    y = applied(ReColor(0.06, nodes=2), x, move=torch.linspace(-1, 1, 24))
    y.sum().backward()
    assert x.grad.isfinite().all()
    assert y.isfinite().all()
    assert (y - x).abs().max() < 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReColor(colour_space="lab"), r"colour_space must be one of \['luv', 'rgb'\], got 'lab'"),
        (lambda: FlowField(0.5), "strength must be >= 0 and <= 0.48, got"),
        (lambda: Glitch((0.0, 0.6)), "strength must be >= 0 and <= 0.5, got"),
        (lambda: Wood(nodes=0), "nodes must be an int >= 1, got 0"),
        (lambda: ReColor(nodes=1), "nodes must be an int >= 2, got 1"),
        (lambda: Kaleidoscope(shapes=True), "shapes must be an int >= 1, got True"),
        (lambda: Snowflakes(slimness=0.0), "slimness must be a number above 0 and at most 1, got 0.0"),
        (lambda: Snowflakes(slimness=True), "slimness must be a number above 0 and at most 1, got True"),
        (lambda: Snowflakes(size=0.6), "size must be >= 0.05 and <= 0.5, got"),
    ],
)
def test_what_lies_out_of_bounds_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

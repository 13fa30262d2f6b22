"""Named domains: what a person would say of them, on photographs and on made-up patterns."""

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional

from art_domainrand.randomization import domain_mapping

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)


def noise(*shape, seed=1, **kwargs):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **kwargs)


def photographs(size=128):
    """A pagoda before a pale sky, and an orange flower before dark leaves."""
    images = [torch.from_numpy(image.copy()).permute(2, 0, 1) for image in load_sample_images().images]
    return functional.interpolate(torch.stack(images)[..., 100:527].float() / 255, (size, size), mode="area")


@pytest.fixture(scope="module")
def photos():
    return photographs()


def luma(x):
    return (x * LUMA).sum(1)


def shares(x):
    """How much of all the light is red, green and blue."""
    return x.mean((0, 2, 3)) / x.mean((0, 2, 3)).sum()


def detail(x):
    """How much neighbouring pixels differ."""
    return (x[..., 1:] - x[..., :-1]).abs().mean()


def full(x, domain, **kwargs):
    return domain_mapping(x, domain, severity=5, seed=0, **kwargs)


def test_night_is_darker_and_bluer(photos):
    y = full(photos, "night")
    assert (luma(y).mean((1, 2)) < 0.4 * luma(photos).mean((1, 2))).all()
    assert shares(y)[2] > shares(photos)[2] + 0.05


def test_dusk_is_darker_and_redder_with_a_violet_sky(photos):
    y = full(photos, "dusk")
    assert (luma(y).mean((1, 2)) < 0.75 * luma(photos).mean((1, 2))).all()
    assert shares(y)[0] > shares(photos)[0]
    assert shares(y[:, :, :12])[2] > shares(y[:, :, 55:65])[2]


def test_overexposure_burns_out_the_highlights(photos):
    y = full(photos, "overexposed")
    assert (y >= photos - 1e-6).all()
    assert (y == 1).float().mean() > (photos == 1).float().mean() + 0.2


def test_a_low_light_sensor_is_dark_and_noisy():
    flat = torch.full((1, 3, 64, 64), 0.6)
    y = full(flat, "low_light_sensor")
    assert y.mean() < 0.35
    assert y.std() > 0.05
    darker = full(torch.full_like(flat, 0.2), "low_light_sensor")
    assert darker.std() < y.std(), "shot noise grows with the signal"


def test_fog_lowers_contrast_and_raises_brightness(photos):
    y = full(photos, "fog")
    assert (y.std((1, 2, 3)) < 0.6 * photos.std((1, 2, 3))).all()
    assert (y.mean((1, 2, 3)) > photos.mean((1, 2, 3))).all()
    assert y[:, :, :32].std() / photos[:, :, :32].std() < y[:, :, -32:].std() / photos[:, :, -32:].std()


def test_fog_lets_the_scene_through_most_where_it_is_near():
    black, white = (full(torch.full((4, 3, 96, 96), value), "fog") for value in (0.0, 1.0))
    through = (white - black)[:, 0]  # the transmission itself, as the air's light is the same in both
    assert 0.3 < through.mean() < 0.5
    assert through.min() > 0.1
    assert through[:, -20:].mean() > 0.5 > 0.3 > through[:, :20].mean()


def test_rain_is_made_of_upright_streaks():
    y = luma(full(torch.full((8, 3, 96, 96), 0.4), "rain"))
    across, down = (y[:, :, 1:] - y[:, :, :-1]).abs().mean(), (y[:, 1:] - y[:, :-1]).abs().mean()
    assert across > 2 * down
    assert y.max() > y.median() + 0.15


def test_snow_is_white_spots_before_a_pale_scene(photos):
    y = full(torch.full((8, 3, 96, 96), 0.3), "snow")
    white = (y > 0.85).float().mean()
    assert 0.02 < white < 0.3
    assert y.median() > 0.35


def test_thermal_depends_on_luminance_alone_and_runs_from_cold_to_hot():
    ramp = torch.linspace(0, 1, 101)
    y = full(ramp.expand(1, 3, 1, 101), "thermal")[0, :, 0]
    assert (luma(y[None, :, None])[0, 0].diff() > 0).all(), "hotter is brighter"
    assert y[:, 20].argmax() == 2, "cold is blue"
    assert y[0, 70] > y[1, 70] > y[2, 70], "warm is orange"
    red, grey = torch.tensor([0.6, 0.0, 0.0]), torch.full((3,), 0.6 * 0.299)
    pixels = torch.stack((red, grey), dim=1)[None, :, None]
    hot = full(pixels, "thermal")
    torch.testing.assert_close(hot[..., 0], hot[..., 1], atol=1e-6, rtol=0)


def test_leaves_are_bright_and_the_sky_is_dark_in_infrared():
    leaf, sky = torch.tensor([0.25, 0.42, 0.15]), torch.tensor([0.35, 0.55, 0.85])
    x = torch.stack((leaf, sky)).view(2, 3, 1, 1).expand(2, 3, 48, 48)
    y = full(x, "near_infrared")
    before, after = luma(x).mean((1, 2)), y.mean((1, 2, 3))
    assert before[0] < before[1]
    assert after[0] > after[1] + 0.2
    assert torch.equal(y, y[:, :1].expand_as(y))


def test_dull_leaves_of_a_photograph_glow_in_infrared_and_nothing_burns_out(photos):
    """Olive leaves below the lake, and the blue-green ones behind the flower."""
    y = full(photos, "near_infrared")
    leaves = (0, slice(104, None), slice(80, None)), (1, slice(0, 30), slice(0, 30))
    for image, rows, columns in leaves:
        assert y[image, :, rows, columns].mean() > 2 * luma(photos)[image, rows, columns].mean()
        assert y[image, :, rows, columns].mean() > 0.45
    sky = y[0, :, :40, 90:].mean()
    assert sky < luma(photos)[0, :40, 90:].mean()
    assert (y[1] == 1).float().mean() < 0.02, "the flower keeps its petals"


def test_sepia_is_brown(photos):
    y = full(photos, "sepia")
    assert (y[:, 0] >= y[:, 1]).all()
    assert (y[:, 1] >= y[:, 2]).all()
    assert shares(y)[0] > shares(y)[2] + 0.05
    # The W3C's matrix: white is (1.351, 1.203, 0.937) before clipping.
    torch.testing.assert_close(
        full(torch.full((1, 3, 1, 1), 0.5), "sepia")[0, :, 0, 0], torch.tensor([0.6755, 0.6015, 0.4685])
    )


def test_a_sketch_is_white_paper_with_dark_edges(photos):
    y = full(photos, "sketch")
    assert y.median() > 0.85
    assert torch.equal(y, y[:, :1].expand_as(y))
    step = torch.full((1, 3, 32, 32), 0.8)
    step[..., 16:] = 0.3
    drawn = full(step, "sketch")[0, 0, 16]
    assert drawn[4] > 0.95
    assert drawn[28] > 0.95, "a dark area is paper, too"
    assert drawn[16] < 0.5, "the edge is drawn on its dark side"


def test_a_cartoon_is_flat_vivid_and_outlined(photos):
    noisy = 0.5 + 0.04 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert detail(full(noisy, "cartoon")) < 0.5 * detail(noisy), "noise is flattened"
    y = full(photos, "cartoon")
    assert (y.amax(1) - y.amin(1)).mean() > (photos.amax(1) - photos.amin(1)).mean(), "colours are stronger"
    step = torch.full((1, 3, 64, 64), 0.9)
    step[..., 32:] = 0.4
    line = full(step, "cartoon")[0, :, 32].mean(0)
    assert line[32:34].min() < 0.25 < line[40:60].min(), "an outline that is darker than both sides"


def test_leaves_are_drawn_without_speckles_and_buildings_with_lines(photos):
    leaves = photos[0, :, 104:, 80:]
    sketch, cartoon = (full(photos, name)[0] for name in ("sketch", "cartoon"))
    assert sketch[:, 104:, 80:].mean() > 0.88
    assert detail(sketch[:, 104:, 80:]) < 1.5 * detail(leaves), "strokes about as faint as the leaves themselves"
    assert (sketch[:, 104:, 80:] < 0.25).float().mean() < 0.005, "no black dots"
    assert (sketch[:, 40:95, 10:60] < 0.6).float().mean() > 0.05, "while the house has its lines"
    assert detail(cartoon[:, 104:, 80:]) < 0.5 * detail(leaves), "flat areas"
    dark = (luma(cartoon[None])[0, 104:, 80:] < 0.1).float().mean()
    assert dark < (luma(leaves[None]) < 0.1).float().mean() + 0.02, "no black that was not there"
    assert detail(cartoon[:, 40:95, 10:60]) > 1.5 * detail(cartoon[:, 104:, 80:]), "the house is outlined"


def test_low_bandwidth_keeps_more_within_a_block_than_its_mean(photos):
    x = luma(photos)[:, None, :125, :125]
    means = functional.avg_pool2d(x, 5).repeat_interleave(5, 2).repeat_interleave(5, 3)
    left = luma(full(photos, "low_bandwidth"))[:, None, :125, :125] - x
    assert left.square().mean() < 0.4 * (means - x).square().mean(), "not mere pixels"


def test_low_bandwidth_shows_blocks(photos):
    for size in (32, 128):
        x = functional.interpolate(photos, (size, size), mode="area")
        y = full(x, "low_bandwidth")
        side = max(4, round(size / 26))
        steps = (y[..., 1:] - y[..., :-1]).abs().mean((0, 1, 2))
        border = (torch.arange(size - 1) + 1) % side == 0
        assert steps[border].mean() > 1.5 * steps[~border].mean()
    calm = 0.4 + 0.2 * noise(1, 3, 104, 208)  # whole blocks, and nothing to be clipped
    once = full(calm, "low_bandwidth")
    assert not torch.allclose(once, calm, atol=0.01)
    torch.testing.assert_close(full(once, "low_bandwidth"), once, msg="what came through once comes through again")


def test_print_and_scan_has_weak_blacks_yellowish_paper_and_dots():
    black, white = (full(torch.full((1, 3, 128, 128), value), "print_and_scan") for value in (0.0, 1.0))
    assert black[..., 40:].mean() > 0.1
    assert white[:, 2].mean() < white[:, 0].mean() < 1
    grey = full(torch.full((1, 3, 128, 128), 0.5), "print_and_scan")
    spread_of_grey, spread_of_white = (y[0, 0, 20:110, 20:110].std() for y in (grey, white))
    assert spread_of_grey > 2 * spread_of_white, "midtones are dots, paper is not"


def test_underwater_loses_red_and_gains_a_blue_green_veil(photos):
    y = full(photos, "underwater")
    assert y[:, 0].mean() < 0.4 * photos[:, 0].mean()
    assert y[:, 2].mean() > y[:, 1].mean() > 2 * y[:, 0].mean()
    assert full(torch.zeros(1, 3, 32, 32), "underwater")[:, 2].mean() > 0.15


def test_sim_texture_gives_one_scene_many_looks_and_keeps_its_shading(photos):
    x = photos[:1].expand(8, 3, 128, 128)
    y = full(x, "sim_texture")
    spread = y.mean((2, 3)).std(0).mean()
    assert spread > 0.05, "every draw has colours of its own"
    mean = y.mean(0, keepdim=True)
    together = torch.stack((luma(mean).flatten(), luma(photos[:1]).flatten()))
    assert torch.corrcoef(together)[0, 1] > 0.7

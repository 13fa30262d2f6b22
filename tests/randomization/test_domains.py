"""Named domains: what a person would say of them, what severity means, and the promises of every transform."""

import pickle
import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional

from art_domainrand.randomization import DOMAINS, Draw, OneOf, Pipeline, Rotation, Uniform, domain_mapping
from art_domainrand.randomization.domains import REFERENCE_METHODS
from art_domainrand.randomization.domains.parts import box

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


# ---- Severity


@pytest.mark.parametrize("name", DOMAINS)
def test_distance_from_the_original_grows_with_severity_for_every_image(name, photos):
    for x in (photos, noise(4, 3, 32, 32)):
        distances = torch.stack(
            [(domain_mapping(x, name, s, seed=3) - x).flatten(1).norm(dim=1) for s in (1, 1.5, 2, 3, 4, 4.9, 5)]
        )
        assert (distances[0] > 0).all()
        assert (distances.diff(dim=0) > 0).all()


@pytest.mark.parametrize("name", DOMAINS)
def test_lower_severities_lie_between_the_original_and_the_full_map(name):
    x = noise(3, 3, 24, 24)
    end = full(x, name)
    for severity in (1, 3, 4):
        y = domain_mapping(x, name, severity, seed=0)
        assert (y >= torch.minimum(x, end) - 1e-6).all()
        assert (y <= torch.maximum(x, end) + 1e-6).all()


def test_grayscale_has_equal_channels_and_negative_is_one_minus_x():
    for channels in (1, 3, 4, 7):
        x = noise(2, channels, 16, 16)
        assert torch.equal(full(x, "negative"), 1 - x)
        y = full(x, "grayscale")
        assert torch.equal(y, y[:, :1].expand_as(y))
    torch.testing.assert_close(full(noise(2, 3, 8, 8), "grayscale")[:, 0], luma(noise(2, 3, 8, 8)))


def test_severity_may_be_drawn_for_each_image():
    x = noise(1, 3, 8, 8).expand(64, 3, 8, 8)
    share = (domain_mapping(x, "negative", (2, 4), seed=0) - x).flatten(1).norm(dim=1) / (1 - 2 * x[0]).norm()
    assert 0.4 <= share.min() < 0.45
    assert 0.75 < share.max() <= 0.8


# ---- What a person would say


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


# ---- Several domains, channels, arrays, seeds


def test_a_list_of_domains_draws_one_for_each_image():
    x = noise(1, 3, 12, 12).expand(60, 3, 12, 12)
    y = full(x, ["negative", "grayscale"])
    negative, grey = full(x[:1], "negative"), full(x[:1], "grayscale")
    is_negative = (y == negative).flatten(1).all(1)
    is_grey = (y == grey).flatten(1).all(1)
    assert (is_negative ^ is_grey).all()
    assert 10 < is_negative.sum() < 50


def test_colour_acts_on_the_named_channels_of_paired_modalities():
    x = noise(3, 4, 20, 20)
    for name in DOMAINS:
        y = domain_mapping(x, name, 5, seed=1, channels=(0, 1, 2))
        assert torch.equal(y[:, 3], x[:, 3])
        torch.testing.assert_close(y[:, :3], domain_mapping(x[:, :3], name, 5, seed=1))
    torch.testing.assert_close(
        domain_mapping(x, "sepia", 5, channels=(3, 1, 0))[:, [3, 1, 0]],
        domain_mapping(x[:, [3, 1, 0]], "sepia", 5),
    )


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("channels", [1, 2, 4, 8])
def test_every_domain_takes_any_number_of_channels(name, channels):
    x = noise(2, channels, 20, 17)
    y = full(x, name)
    assert y.shape == x.shape
    assert y.isfinite().all()
    if (name, channels) != ("grayscale", 1):
        assert not torch.equal(y, x)


def test_arrays_give_arrays_and_the_same_numbers():
    x = noise(3, 3, 16, 16)
    for dtype in (np.float32, np.float64):
        y = domain_mapping(x.numpy().astype(dtype), ["rain", "night"], seed=5)
        assert isinstance(y, np.ndarray)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, domain_mapping(x, ["rain", "night"], seed=5).numpy(), atol=1e-4)


def test_a_seed_repeats_and_none_is_fresh_and_global_generators_are_left_alone():
    x = noise(4, 3, 16, 16)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    copy = x.clone()
    for name in [*DOMAINS, list(DOMAINS)]:
        assert torch.equal(domain_mapping(x, name, seed=5), domain_mapping(x, name, seed=5))
    assert not torch.equal(domain_mapping(x, "snow"), domain_mapping(x, "snow"))
    assert not torch.equal(domain_mapping(x, "snow", seed=1), domain_mapping(x, "snow", seed=2))
    assert torch.equal(x, copy)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert before[2] == random.getstate()


def test_the_gradient_passes_the_clipping():
    x = torch.ones(1, 3, 4, 4, requires_grad=True)
    y = domain_mapping(x, "overexposed", 5)
    assert (y == 1).all()
    y.sum().backward()
    assert (x.grad >= 2).all()


# ---- The promises of every transform


@pytest.mark.parametrize("name", DOMAINS)
def test_slicing_commutes_bit_for_bit_and_layout_is_kept(name):
    pipeline = Pipeline(DOMAINS[name]())
    for channels in (1, 3, 5):
        for layout in (torch.contiguous_format, torch.channels_last):
            x = noise(7, channels, 37, 23).contiguous(memory_format=layout)
            draw = pipeline.sample(7, torch.Generator().manual_seed(0))
            whole = pipeline.apply(x, draw)
            assert whole.is_contiguous(memory_format=layout)
            assert torch.equal(whole, pipeline.apply(x, draw))
            for part in (slice(0, 1), slice(2, 6), [6, 0, 3]):
                assert torch.equal(pipeline.apply(x[part], draw[part]), whole[part])


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("kind", ["black", "white", "binary", "beyond"])
def test_value_and_gradient_are_finite(name, kind):
    x = {
        "black": torch.zeros(4, 3, 12, 12),
        "white": torch.ones(4, 3, 12, 12),
        "binary": (noise(4, 3, 12, 12) > 0.5).float(),
        "beyond": noise(4, 3, 12, 12) * 3 - 1,
    }[kind].requires_grad_()
    pipeline = Pipeline(DOMAINS[name]())
    draw = pipeline.sample(4, torch.Generator().manual_seed(0))
    u = draw.u.clone().requires_grad_()
    y = pipeline.apply(x, Draw(u, draw.seeds))
    y.square().sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert u.grad.isfinite().all()


@pytest.mark.parametrize("name", DOMAINS)
def test_gradients_agree_with_finite_differences(name):
    pipeline = Pipeline(DOMAINS[name]())
    draw = pipeline.sample(2, torch.Generator().manual_seed(0))
    x = (0.1 + 0.8 * noise(2, 3, 6, 7, dtype=torch.float64)).requires_grad_()
    u = draw.u.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, u: pipeline.apply(x, Draw(u, draw.seeds)), (x, u), eps=1e-7, atol=1e-4, rtol=1e-3
    )


def test_domains_fit_into_pipelines_and_are_pickled_with_them():
    pipeline = Pipeline([Rotation(), OneOf([DOMAINS["fog"](severity=Uniform(1, 3)), DOMAINS["night"]()])])
    x, draw = noise(4, 3, 16, 16), pipeline.sample(4)
    assert torch.equal(pickle.loads(pickle.dumps(pipeline)).apply(x, draw), pipeline.apply(x, draw))


def test_empty_batches_and_single_pixels_pass():
    for name in DOMAINS:
        assert domain_mapping(torch.zeros(0, 3, 8, 8), name).shape == (0, 3, 8, 8)
        assert domain_mapping(torch.full((2, 3, 1, 1), 0.5), name, 5).isfinite().all()


def test_a_box_mean_is_the_average_of_what_lies_inside_the_image():
    x = noise(2, 3, 11, 9, dtype=torch.float64)
    for radius in (0, 1, 4, 5, 30):
        pooled = functional.avg_pool2d(x, 2 * radius + 1, 1, 0) if radius == 0 else None
        expected = pooled if radius == 0 else torch.empty_like(x)
        if radius:
            for row in range(11):
                for column in range(9):
                    window = x[
                        ..., max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1
                    ]
                    expected[..., row, column] = window.mean((2, 3))
        torch.testing.assert_close(box(x, radius), expected)


# ---- Bad input


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"domain": "nigt"}, "domain must be a Domain or one of .*'night'.*, got 'nigt'"),
        ({"domain": []}, "domain must not be an empty list"),
        ({"severity": 7}, "severity must be a number from 1 to 5, got 7"),
        ({"severity": 0}, "severity must be a number from 1 to 5, got 0"),
        ({"severity": True}, "severity must be a number"),
        ({"severity": float("nan")}, "severity must be finite"),
        ({"severity": (0, 3)}, "severity must be a number from 1 to 5, got values from 0 to 3"),
        ({"seed": -1}, "seed must be None or an int >= 0, got -1"),
        ({"x": torch.rand(3, 8, 8)}, r"x must be a \(B, C, H, W\) tensor or array, got shape \(3, 8, 8\)"),
        ({"x": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "x must be floating .* got torch.uint8"),
        ({"x": torch.full((1, 3, 8, 8), 255.0)}, r"x must lie within \[0, 1\], got values from 255 to 255"),
        ({"x": torch.full((1, 3, 8, 8), float("nan"))}, r"x must lie within \[0, 1\]"),
        ({"channels": (0, 3)}, "channels must be below 3"),
        ({"channels": (0, 0)}, "channels must be distinct"),
        ({"channels": ()}, "channels must be distinct and at least one"),
        ({"channels": (-1,)}, "channels must be ints >= 0"),
        ({"references": torch.rand(1, 3, 8, 8)}, "references must be None"),
        ({"domain": "histogram"}, "references must be given for the domain Histogram, got None"),
    ],
)
def test_bad_input_is_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        domain_mapping(**({"x": torch.rand(2, 3, 8, 8), "domain": "night"} | kwargs))


def test_the_tables_hold_final_classes_and_no_name_twice():
    assert not set(DOMAINS) & set(REFERENCE_METHODS)
    assert len(set(DOMAINS.values())) == len(DOMAINS)
    assert not any(cls.__subclasses__() for cls in [*DOMAINS.values(), *REFERENCE_METHODS.values()])

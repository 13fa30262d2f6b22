"""Presets: complete, ready to use, and each what its name says."""

import pytest
import torch

from art_domainrand.randomization import Contrast, Pipeline
from art_domainrand.randomization.presets import PRESETS, preset
from art_domainrand.randomization.serialize import from_json, from_yaml, to_json, to_yaml

RGB_ONLY = {"photometric", "sim2real", "indoor_robotics", "driving", "recolor", "carben"}
RGB_ONLY |= {"trivial_augment", "rand_augment", "idbh_weak", "idbh_strong"}
# Policies some of whose operations have no strength: images that these have changed are equal.
WITHOUT_STRENGTH = {"trivial_augment", "rand_augment"}


def smooth_images(n, channels):
    """Gradients from corner to corner, of mean 1/2: a change of geometry moves them little, one of colour much."""
    ramp = torch.linspace(0.1, 0.9, 32)
    return ((ramp[:, None] + ramp) / 2).expand(n, channels, 32, 32).contiguous()


def draw(pipeline, n):
    return pipeline.sample(n, torch.Generator().manual_seed(0))


def change(name, x):
    return (PRESETS[name].apply(x, draw(PRESETS[name], len(x))) - x).abs().flatten(1).mean(1)


def test_the_names_are_those_that_were_promised():
    assert set(PRESETS) == {
        "mild", "strong", "geometric", "photometric", "sensor", "weather", "sim2real", "indoor_robotics", "driving",
        "imagenet_c", "ua_gabor", "ua_snow", "ua_pixel", "ua_jpeg", "ua_kaleidoscope", "ua_glitch", "ua_wood",
        "ua_elastic", "stadv", "recolor", "carben", "augmix", "trivial_augment", "rand_augment",
        "prime", "idbh_weak", "idbh_strong",
    }  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_changes_every_kind_of_image_it_promises_to(name):
    pipeline = preset(name)
    assert isinstance(pipeline, Pipeline)
    for channels in (3,) if name in RGB_ONLY else (1, 3, 4):
        x = smooth_images(8, channels)
        changed = pipeline.apply(x, draw(pipeline, 8))
        assert changed.shape == x.shape
        assert changed.isfinite().all()
        different = len(torch.unique(changed.flatten(1), dim=0))
        assert different >= 6 if name in WITHOUT_STRENGTH else different == 8, "equal images, different draws"


@pytest.mark.parametrize("name", sorted(RGB_ONLY))
def test_a_preset_of_colours_says_that_it_needs_rgb(name):
    with pytest.raises(ValueError, match="needs RGB images with 3 channels, got 1"):
        preset(name)(smooth_images(2, 1))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_replayed_sliced_and_written_like_any_pipeline(name):
    pipeline = preset(name)
    x, points = smooth_images(6, 3), draw(pipeline, 6)
    assert torch.equal(pipeline.apply(x, points)[2:5], pipeline.apply(x[2:5], points[2:5]))
    assert from_json(to_json(pipeline)) == from_yaml(to_yaml(pipeline)) == pipeline


def test_strong_changes_more_than_mild():
    x = smooth_images(64, 3)
    assert change("strong", x).mean() > 3 * change("mild", x).mean() > 0


def test_geometric_is_one_sampling_and_leaves_a_flat_image_flat():
    pipeline = PRESETS["geometric"]
    assert len(pipeline.chain.stages) == 1
    flat = torch.full((4, 3, 16, 16), 0.3)
    torch.testing.assert_close(pipeline(flat), flat)


def test_photometric_moves_no_pixel():
    """The derivative of every pixel by all others is zero, but for the means that contrast is about."""
    x = smooth_images(1, 3)[..., :6, :6].double().requires_grad_()
    pipeline = Pipeline([t for t in PRESETS["photometric"].transforms if not isinstance(t, Contrast)])
    assert len(pipeline) == len(PRESETS["photometric"]) - 1
    pipeline(x)[0, :, 2, 3].sum().backward()
    moved = x.grad.abs().sum((0, 1))
    assert moved[2, 3] > 0
    assert moved.sum() == moved[2, 3]


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ValueError, match=r"preset must be one of \['mild', .*'imagenet_c'\], got 'wild'; .*'mild'"):
        preset("wild")

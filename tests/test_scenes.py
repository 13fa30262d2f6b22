"""Synthetic scenes: what their label says can be read off the masks and depths, and off neither modality alone."""

import numpy as np
import pytest
import torch

from art_domainrand.scenes import COLOURS, shape_scenes


def test_the_label_is_the_colour_of_what_is_nearest():
    scenes = shape_scenes(300, 24)
    assert scenes.rgb.shape == (300, 3, 24, 24)
    assert scenes.depth.shape == (300, 1, 24, 24)
    assert scenes.rgb.dtype == scenes.depth.dtype == np.float32
    assert scenes.rgb.min() >= 0
    assert scenes.rgb.max() <= 1
    nearest = np.where(scenes.depth > 0, scenes.depth, 2).reshape(300, -1).argmin(1)
    rows = np.arange(300)
    assert np.array_equal(scenes.mask.reshape(300, -1)[rows, nearest], scenes.y + 1)
    seen = scenes.rgb.reshape(300, 3, -1)[rows, :, nearest]
    paints = np.array(list(COLOURS.values()))
    angles = (seen @ paints.T) / np.linalg.norm(paints, axis=1)
    assert (angles.argmax(1) == scenes.y).mean() > 0.99
    assert 0.015 < (scenes.depth == 0).mean() < 0.035
    assert np.bincount(scenes.y, minlength=4).min() > 50


def test_nothing_but_depth_says_which_object_counts():
    """Size, side and height of the nearer one are those of the farther one, but for what it hides."""
    scenes = shape_scenes(600, 24)
    own = scenes.mask == (scenes.y + 1)[:, None, None]
    other = (scenes.mask > 0) & ~own
    sizes = own.sum((1, 2)) > other.sum((1, 2))
    columns = np.arange(24)
    left = (own * columns).sum((1, 2)) / own.sum((1, 2)) < 11.5
    for share in (sizes.mean(), left.mean()):
        assert 0.42 < share < 0.58


def test_a_scene_is_the_same_in_any_company():
    many, few = shape_scenes(20, 16, seed=3), shape_scenes(5, 16, seed=3, first=12)
    for name in ("rgb", "depth", "mask", "y"):
        assert np.array_equal(getattr(many, name)[12:17], getattr(few, name))
    assert not np.array_equal(shape_scenes(5, 16, seed=4, first=12).rgb, few.rgb)
    state = torch.get_rng_state()
    shape_scenes(2)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 2, "size": 0}, {"n": 2, "seed": -1}, {"n": 2, "first": -1}])
def test_values_out_of_bounds_are_refused(options):
    with pytest.raises(ValueError, match=r"must be"):
        shape_scenes(**options)

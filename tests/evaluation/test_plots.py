"""Pictures of results: what can be checked without looking at them."""

import matplotlib.image
import numpy as np
import pytest

from art_domainrand.evaluation import Row
from art_domainrand.evaluation.plots import accuracy_curves, image_grid, signed_image


def test_a_grid_shows_every_image(tmp_path):
    light = np.full((3, 1, 5, 5), 0.5, np.float32)
    colour = np.zeros((2, 3, 5, 5), np.float32)
    colour[:, 0] = 1
    image_grid(tmp_path / "grid.png", {"grey": light, "red": colour}, {"grey": ["a", "b", "c"]}, title="t")
    pixels = np.round(matplotlib.image.imread(tmp_path / "grid.png")[..., :3] * 255)
    height, width = pixels.shape[:2]
    grey = np.all(np.abs(pixels - 128) <= 1, axis=2)
    red = np.all(pixels == (255, 0, 0), axis=2)
    assert grey.sum() == pytest.approx(1.5 * red.sum(), rel=0.05)
    assert red.sum() > 0.1 * height * width
    above, below = ((mask.sum(1) > 0.1 * width) for mask in (grey, red))  # not the few grey pixels at a letter's edge
    assert np.flatnonzero(above).max() < np.flatnonzero(below).min()


def test_a_grid_refuses_what_it_cannot_show(tmp_path):
    with pytest.raises(ValueError, match="at least one image"):
        image_grid(tmp_path / "grid.png", {})
    with pytest.raises(ValueError, match=r"an image must be .* got shape \(2, 5, 5\)"):
        image_grid(tmp_path / "grid.png", {"two": np.zeros((1, 2, 5, 5))})
    assert not (tmp_path / "grid.png").exists()


def test_a_signed_image_is_blue_below_red_above_and_grey_at_zero():
    change = np.array([-0.1, 0, 0.1, 0.7]).reshape(4, 1, 1, 1)
    below, none, above, far = signed_image(change, 0.1)[:, :, 0, 0]
    assert below[2] > below[0] + 0.3
    assert above[0] > above[2] + 0.3
    assert np.ptp(none) < 0.02
    assert np.array_equal(far, above)
    with pytest.raises(ValueError, match="limit must be > 0, got 0"):
        signed_image(change, 0)


def test_curves_are_drawn_and_checked(tmp_path):
    rows = [Row.count("m", "c", correct, 100) for correct in (90, 40)]
    accuracy_curves(tmp_path / "curve.png", [0, 0.5], {"PGD": rows}, xlabel="eps")
    assert matplotlib.image.imread(tmp_path / "curve.png").std() > 0.05
    with pytest.raises(ValueError, match="curve 'PGD' must have 1 rows"):
        accuracy_curves(tmp_path / "curve.png", [0], {"PGD": rows}, xlabel="eps")

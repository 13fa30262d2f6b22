"""The windows of Square attack: the paper's schedule, sizes, places and mountains."""

import numpy as np
import pytest
import torch

from art_domainrand.attacks.blackbox.windows import (
    Planes,
    pyramid,
    two_mountains,
    window_pixels,
    window_place,
    window_share,
    window_size,
)
from art_domainrand.core.random import uniform


@pytest.mark.parametrize("queries", [10_000, 5_000, 100])
def test_the_share_halves_where_the_paper_says(queries):
    """Section 5: halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 queries."""
    shares = [window_share(i, queries, 0.8) for i in range(queries)]
    ends = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]
    for i, share in enumerate(shares):
        assert share == 0.8 * 0.5 ** sum(int(i / queries * 10_000) > end for end in ends)
    assert shares[0] == 0.8
    assert len(set(shares)) == (10 if queries >= 5_000 else 9), "of 100 queries none falls between 10 and 50"


@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 32), (224, 224), (8, 8)])
@pytest.mark.parametrize("share", [0.8, 0.4, 0.1, 0.0125, 0.0001])
def test_a_window_is_the_square_of_that_share(height, width, share):
    side = max(round((share * height * width) ** 0.5), 1)
    assert window_size(share, height, width) == (side, side)
    odd = max(round((share * height * width) ** 0.5), 3)
    odd += odd % 2 == 0
    assert window_size(share, height, width, 3, odd=True) == (odd, odd)


@pytest.mark.parametrize(("height", "width"), [(1, 60), (60, 1), (4, 40), (2, 2)])
def test_where_no_square_fits_the_window_is_longer(height, width):
    found = window_size(0.5, height, width)
    assert found[0] <= height
    assert found[1] <= width
    assert abs(found[0] * found[1] - 0.5 * height * width) <= max(height, width) / 2


def test_windows_lie_everywhere_alike():
    u = uniform(torch.arange(6000), (2,))
    top, left = window_place(u, (3, 4), (7, 9))
    places = np.bincount(top * 6 + left, minlength=30)
    assert len(places) == 5 * 6, "all that fit, the last row and column included"
    assert places.min() > 0.7 * 200
    assert places.max() < 1.3 * 200


def test_pixels_of_a_window():
    grid = torch.arange(7 * 9).reshape(7, 9)
    place = torch.tensor([0, 4]), torch.tensor([5, 2])
    pixels = window_pixels(place, (3, 4), 9)
    assert torch.equal(pixels, torch.stack([grid[0:3, 5:9].flatten(), grid[4:7, 2:6].flatten()]))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (5, 5), (4, 9), (6, 3)])
@pytest.mark.parametrize("power", [2, 4])
def test_a_mountain_is_the_papers_sum(height, width, power):
    """Section 4.2: the sum over k from 0 to M of 1 / (n + 1 - k)^2, M being n minus the distance from the middle."""
    n = max(height, width) // 2
    found = pyramid(height, width, power)
    for row in range(height):
        for column in range(width):
            most = n - max(abs(row - height // 2), abs(column - width // 2))
            assert float(found[row, column]) == pytest.approx(sum(1 / (n + 1 - k) ** power for k in range(most + 1)))


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("size", [(5, 5), (3, 3), (1, 6), (6, 1), (1, 1)])
def test_a_mountain_and_a_valley_have_length_one(norm, size):
    lying, standing = (two_mountains(size, norm, upright=upright) for upright in (False, True))
    for both in (lying, standing):
        assert both.shape == size
        assert float(torch.linalg.vector_norm(both, ord=norm)) == pytest.approx(1)
    assert (lying[: size[0] // 2] > 0).all()
    assert (lying[size[0] // 2 :] < 0).all()
    assert torch.equal(standing, two_mountains(size[::-1], norm, upright=False).T)


@pytest.mark.parametrize(
    ("shape", "channels_last", "size"),
    [
        ((3, 5, 6), False, (3, 5, 6)),
        ((5, 6, 3), True, (3, 5, 6)),
        ((7,), False, (1, 1, 7)),
        ((7,), True, (1, 1, 7)),
        ((5, 6), False, (1, 5, 6)),
        ((2, 3, 5, 6), False, (6, 5, 6)),
        ((2, 5, 6, 3), True, (6, 5, 6)),
    ],
)
def test_images_are_planes_and_back(shape, channels_last, size):
    planes = Planes(shape, channels_last)
    x = torch.arange(2 * int(np.prod(shape))).reshape(2, *shape)
    found = planes.of(x)
    assert planes.size == size == tuple(found.shape[1:])
    assert torch.equal(planes.images(found), x)
    if channels_last and len(shape) == 3:
        assert torch.equal(found[:, 1], x[..., 1])

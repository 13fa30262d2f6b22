"""Small synthetic scenes in RGB and depth, with masks: what a multimodal pipeline is tried on without a download."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.checks import check_counts, require
from art_domainrand.core.random import READ, checked_seed, derive, integers, keys_of, permutations, uniform

# Name -> red, green and blue, before each object's own brightness.
COLOURS = {"red": (1.0, 0.2, 0.2), "green": (0.2, 0.9, 0.2), "blue": (0.2, 0.3, 1.0), "yellow": (1.0, 0.9, 0.2)}


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scenes with two objects, known by the nearer one.

    :param rgb: (N, 3, H, W), float32, in [0, 1].
    :param depth: (N, 1, H, W), float32: distances in (0, 1], and 0 where the sensor had no reading.
    :param mask: (N, H, W), int64: 0 for the wall, else one more than the colour of the object that is seen.
    :param y: the colour of the nearer object, (N,) int64.
    :param classes: the names of the colours.
    """

    rgb: NDArray[np.float32]
    depth: NDArray[np.float32]
    mask: NDArray[np.int64]
    y: NDArray[np.int64]
    classes: tuple[str, ...] = tuple(COLOURS)


@suggesting_names
def shape_scenes(n: int, size: int = 24, seed: int = 0, first: int = 0) -> Scenes:
    """Draw scenes of two objects in front of a wall: discs, squares and triangles of two of four colours.

    The label is the colour of the nearer one: RGB alone does not know which of the two that is, as how large an object
    looks says nothing of its distance, and depth alone knows no colour. A fortieth of the depth has no reading.

    :param n: how many, >= 1.
    :param size: the side of an image in pixels, >= 1.
    :param seed: an int >= 0; scene i of a seed is the same however many are drawn.
    :param first: the number of the first scene, >= 0: training and test images are different numbers of one seed.
    :raises ValueError: for values outside these bounds.
    """
    check_counts(n=n, first=first)
    require(n >= 1, "n", "be >= 1", n)
    require(size >= 1, "size", "be >= 1", size)
    keys = keys_of(checked_seed(seed), READ, torch.arange(first, first + n))
    random, shape = uniform(derive(keys, 0), (12,)), integers(derive(keys, 1), (2,), 3)
    colour = permutations(derive(keys, 2), len(COLOURS))[:, :2]
    place = (torch.arange(size) + 0.5) / size
    x, y = place.expand(n, size, size), place[:, None].expand(n, size, size)
    slope = 0.1 * (random[:, :2, None, None] - 0.5)
    depth = 0.9 + slope[:, 0] * (x - 0.5) + slope[:, 1] * (y - 0.5)
    rgb = (0.25 + 0.4 * random[:, 2, None, None, None]).expand(n, 3, size, size)
    mask = torch.zeros(n, size, size, dtype=torch.int64)
    left = torch.where(random[:, 3] < 0.5, 0.27, 0.73)[:, None, None]
    paints = torch.tensor(list(COLOURS.values()))
    for who, column in ((1, 1 - left), (0, left)):  # the farther one first
        own = random[:, 4 + 4 * who : 8 + 4 * who, None, None]
        radius = 0.14 + 0.08 * own[:, 0]
        across, down = (x - column) / radius, (y - 0.3 - 0.4 * own[:, 1]) / radius
        inside = _inside(shape[:, who, None, None], across, down)
        depth = torch.where(inside, (0.25, 0.6)[who] + 0.15 * own[:, 2], depth)
        paint = paints[colour[:, who], :, None, None] * (0.7 + 0.3 * own[:, 3:])
        rgb = torch.where(inside[:, None], paint, rgb)
        mask = torch.where(inside, colour[:, who, None, None] + 1, mask)
    grain = uniform(derive(keys, 3), (4, size, size))
    depth = torch.where(grain[:, 3] < 1 / 40, 0.0, depth)
    rgb = (rgb + 0.1 * (grain[:, :3] - 0.5)).clamp(0, 1)
    return Scenes(rgb.numpy(), depth[:, None].numpy(), mask.numpy(), colour[:, 0].numpy())


def _inside(shape: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Whether points, in radii from an object's centre, lie in a disc (0), a square (1) or a triangle (2)."""
    disc = across.square() + down.square() < 1
    square = torch.maximum(across.abs(), down.abs()) < 0.85
    triangle = (down < 0.8) & (across.abs() < 0.6 * (down + 1.0))
    return torch.where(shape == 0, disc, torch.where(shape == 1, square, triangle))

"""The corruptions without chance, or with their chance given, against the formulas in NumPy, SciPy and Pillow."""

import io
import math

import numpy as np
import pytest
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_image

from art_domainrand.core.random import member_seeds, normal_field, uniform_field
from art_domainrand.randomization.corruptions import corrupt, image_seeds
from art_domainrand.randomization.corruptions.blur import disk_kernel
from art_domainrand.randomization.corruptions.constants import severity_constants

SEED = 7
SEVERITIES = (1, 2, 3, 4, 5)


def photograph(side):
    crop = load_sample_image("china.jpg")[100:324, 200:424]
    return np.asarray(Image.fromarray(crop).resize((side, side), Image.LANCZOS)) / 255.0


def numbers(make, size, member=None):
    """The random numbers of the one image, in float64."""
    seeds = image_seeds(SEED, 1)
    return make(seeds if member is None else member_seeds(seeds, member), size, torch.float64)[0].numpy()


def gaussian(image, sigma):
    return ndimage.gaussian_filter(image, (sigma, sigma, 0)[: image.ndim], mode="nearest", truncate=4)


def middle_zoomed(image, factor):
    spans = [math.ceil(size / factor) for size in image.shape[:2]]
    top, left = ((size - span) // 2 for size, span in zip(image.shape[:2], spans, strict=True))
    middle = image[top : top + spans[0], left : left + spans[1]]
    return ndimage.zoom(middle, (factor, factor, 1)[: image.ndim], order=1)


def smeared(image, angle, radius, sigma):
    height, width = image.shape[:2]
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    total = np.zeros_like(image)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        down = math.ceil(step * math.sin(math.radians(angle)) - 0.5)
        across = math.ceil(step * math.cos(math.radians(angle)) - 0.5)
        rows = np.clip(np.arange(height) + down, 0, height - 1)
        columns = np.clip(np.arange(width) + across, 0, width - 1)
        total += weight * image[rows[:, None], columns]
    return total


def defocus_blur(x, radius, softness):
    half, reach = (8, 1) if radius <= 8 else (math.ceil(radius), 2)
    grid = np.arange(-half, half + 1)
    disk = (grid**2 + grid[:, None] ** 2 <= radius**2).astype(float)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * softness**2))
    soft = ndimage.convolve(disk / disk.sum(), np.outer(taps, taps) / taps.sum() ** 2, mode="mirror")
    return np.stack([ndimage.correlate(plane, soft, mode="mirror") for plane in x.transpose(2, 0, 1)], 2)


def zoom_blur(x, stop, step):
    total, count = x.copy(), round((stop - 1) / step)
    for index in range(count):
        total += middle_zoomed(x, 1 + step * index)[: x.shape[0], : x.shape[1]]
    return total / (count + 1)


def brightness(x, shift):
    hsv = rgb_to_hsv(x)
    hsv[..., 2] = np.clip(hsv[..., 2] + shift, 0, 1)
    return hsv_to_rgb(hsv)


def saturate(x, gain, shift):
    hsv = rgb_to_hsv(x)
    hsv[..., 1] = np.clip(hsv[..., 1] * gain + shift, 0, 1)
    return hsv_to_rgb(hsv)


def contrast(x, gain):
    mean = x.mean((0, 1))
    return (x - mean) * gain + mean


def pillow(x):
    return Image.fromarray((x * 255).round().astype(np.uint8))


def pixelate(x, share):
    small = pillow(x).resize((int(x.shape[1] * share), int(x.shape[0] * share)), Image.BOX)
    return np.asarray(small.resize(x.shape[1::-1], Image.NEAREST)) / 255


def jpeg_compression(x, quality):
    file = io.BytesIO()
    pillow(x).save(file, "JPEG", quality=round(quality))
    return np.asarray(Image.open(file)) / 255


def motion_blur(x, radius, sigma):
    return smeared(x, 90 * numbers(uniform_field, 1, 0)[0] - 45, round(radius), sigma)


def snow(x, mean, spread, zoom, threshold, radius, sigma, keep):
    layer = mean + spread * numbers(normal_field, x.shape[0] * x.shape[1], 0).reshape(x.shape[:2])
    layer = middle_zoomed(layer, zoom)
    layer[layer < threshold] = 0
    layer = smeared(np.clip(layer, 0, 1), 90 * numbers(uniform_field, 1, 1)[0] - 135, round(radius), sigma)
    layer = layer[: x.shape[0], : x.shape[1], None]
    luma = (x @ [0.299, 0.587, 0.114])[..., None]
    return keep * x + (1 - keep) * np.maximum(x, 1.5 * luma + 0.5) + layer + layer[::-1, ::-1]


def fog(x, amount, decay):
    """The diamond-square cloud point by point."""
    size, seeds = 1 << (max(x.shape[:2]) - 1).bit_length(), image_seeds(SEED, 1)
    cloud = np.zeros((size, size))
    step, level = size, 0
    while step > 1:
        count, half = size // step, step // 2
        noise = uniform_field(member_seeds(seeds, level), 3 * count**2, torch.float64)[0].numpy()
        noise = (2 * noise.reshape(3, count, count) - 1) / decay ** (2 * level)
        for kind, (down, across) in enumerate(((half, half), (0, half), (half, 0))):
            offsets = ((-1, -1), (-1, 1), (1, -1), (1, 1)) if kind == 0 else ((-1, 0), (1, 0), (0, -1), (0, 1))
            for i in range(count):
                for j in range(count):
                    row, column = i * step + down, j * step + across
                    near = [cloud[(row + a * half) % size, (column + b * half) % size] for a, b in offsets]
                    cloud[row, column] = sum(near) / 4 + noise[kind, i, j]
        step, level = half, level + 1
    cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    return (x + amount * cloud[: x.shape[0], : x.shape[1], None]) * x.max() / (x.max() + amount)


def elastic_transform(x, strength, sigma, corner):
    height, width = x.shape[:2]
    offsets = corner * (2 * numbers(uniform_field, 6, 0).reshape(2, 3) - 1)
    reach, middle_x, middle_y = min(height, width) // 3, width // 2, height // 2
    points = np.array(
        [[middle_x + reach, middle_x + reach, middle_x - reach], [middle_y + reach, middle_y - reach, middle_y - reach]]
    )
    moved = np.vstack((points + offsets, np.ones(3)))
    back = np.vstack((points, np.ones(3))) @ np.linalg.inv(moved)
    rows, columns = np.mgrid[:height, :width].astype(float)
    across = back[0, 0] * columns + back[0, 1] * rows + back[0, 2]
    down = back[1, 0] * columns + back[1, 1] * rows + back[1, 2]
    planes = [ndimage.map_coordinates(p, (down, across), order=1, mode="mirror") for p in x.transpose(2, 0, 1)]
    noise = 2 * numbers(uniform_field, 2 * height * width, 1).reshape(2, height, width) - 1
    across, down = (strength * ndimage.gaussian_filter(n, sigma, mode="reflect", truncate=3) for n in noise)
    places = (rows + down, columns + across)
    return np.stack([ndimage.map_coordinates(p, places, order=1, mode="reflect") for p in planes], 2)


def spatter(x, mean, spread, sigma, threshold, strength, muddy):
    noise = numbers(normal_field, x.shape[0] * x.shape[1]).reshape(x.shape[:2])
    liquid = gaussian(mean + spread * noise, sigma)
    mask = gaussian((liquid > threshold).astype(float), strength)[..., None]
    mask[mask < 0.8] = 0
    return x * (1 - mask) + np.array([63, 42, 20]) / 255 * mask


REFERENCES = {
    function.__name__: function
    for function in (
        defocus_blur,
        zoom_blur,
        brightness,
        saturate,
        contrast,
        pixelate,
        jpeg_compression,
        motion_blur,
        snow,
        fog,
        elastic_transform,
        spatter,
    )
} | {"gaussian_blur": gaussian}
CASES = [(name, severity) for name in REFERENCES for severity in SEVERITIES if name != "spatter" or severity > 3]


@pytest.mark.parametrize("side", [32, 100, 224])
@pytest.mark.parametrize(("name", "severity"), CASES)
def test_the_corruption_is_that_of_the_formula_to_35_decibels(name, severity, side):
    x = photograph(side)
    images = torch.from_numpy(x.transpose(2, 0, 1)[None].copy())
    ours = corrupt(images, name, severity, SEED)[0].permute(1, 2, 0).numpy()
    constants = severity_constants(name, severity, side)
    expected = np.clip(REFERENCES[name](x, *constants), 0, 1)
    assert np.mean((ours - expected) ** 2) < 10**-3.5
    harmless = {("elastic_transform", 1), ("pixelate", 1), ("defocus_blur", 1), ("gaussian_blur", 1)}
    if not (side == 32 and (name, severity) in harmless):
        # The bar is not cleared by doing nothing.
        assert np.mean((x - expected) ** 2) > np.mean((ours - expected) ** 2) * 2


def test_the_disk_adds_up_to_one_but_for_what_its_softening_loses_at_the_border():
    kernel = disk_kernel(6.0, 0.5, torch.float64, torch.device("cpu"))
    assert kernel.sum().item() == pytest.approx(1)
    assert kernel[0, 0, 8, 8] == kernel.max()

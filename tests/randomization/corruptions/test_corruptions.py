"""What every corruption promises, and the statistics of those that chance decides."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_image

from art_domainrand.randomization.corruptions import (
    COMMON,
    CORRUPTIONS,
    EXTRA,
    CorruptionSuite,
    corrupt,
    image_seeds,
)
from art_domainrand.randomization.corruptions.constants import (
    CIFAR_10_C,
    IMAGENET_C,
    SEVERITIES,
    severity_constants,
)
from art_domainrand.randomization.corruptions.weather import distance_from, equalized

# The published constants do not grow in distance from the clean image: see the docstring of ``corrupt``.
NOT_MONOTONE = {"glass_blur", "motion_blur", "frost", "elastic_transform", "spatter", "saturate"}


def photographs(side):
    places = (("china.jpg", 100, 200), ("china.jpg", 0, 0), ("flower.jpg", 100, 200), ("flower.jpg", 150, 50))
    crops = [load_sample_image(name)[top : top + 224, left : left + 224] for name, top, left in places]
    sized = [np.asarray(Image.fromarray(crop).resize((side, side), Image.LANCZOS)) for crop in crops]
    return (torch.from_numpy(np.stack(sized)).permute(0, 3, 1, 2).float() / 255).contiguous()


def random_images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_there_are_fifteen_and_four_with_constants_for_both_sizes():
    assert (len(COMMON), len(EXTRA), len(CORRUPTIONS)) == (15, 4, 19)
    assert set(CORRUPTIONS) == set(IMAGENET_C) == set(CIFAR_10_C)
    assert all(len(table[name]) == 5 for table in (IMAGENET_C, CIFAR_10_C) for name in table)


def test_constants_are_the_published_ones_at_32_and_224_and_lie_evenly_between():
    assert severity_constants("gaussian_noise", 3, 32) == severity_constants("gaussian_noise", 3, 8) == (0.08,)
    assert severity_constants("gaussian_noise", 3, 224) == severity_constants("gaussian_noise", 3, 500) == (0.18,)
    assert severity_constants("gaussian_noise", 3, 128) == pytest.approx((0.13,))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_an_image_and_its_seed_decide_alone(name, severity):
    x = random_images(7, 3, 37, 40)
    seeds = image_seeds(5, 7)
    whole = corrupt(x, name, severity, 5)
    assert torch.equal(whole, corrupt(x, name, severity, seeds))
    for part in (slice(0, 1), slice(3, 4), slice(2, 6), [6, 0]):
        assert torch.equal(corrupt(x[part], name, severity, seeds[part]), whole[part])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_channels_and_extreme_images_stay_in_range_and_are_left_alone(name, channels):
    for x in (torch.zeros(2, channels, 33, 20), torch.ones(2, channels, 33, 20), random_images(2, channels, 5, 33)):
        copy, before = x.clone(), torch.get_rng_state()
        for severity in SEVERITIES:
            changed = corrupt(x, name, severity)
            assert changed.shape == x.shape
            assert (changed >= 0).all()
            assert (changed <= 1).all()
        assert torch.equal(x, copy)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_tiny_and_empty_batches_arrays_and_other_precisions_pass(name):
    assert corrupt(torch.rand(2, 3, 1, 1), name).isfinite().all()
    assert corrupt(torch.rand(0, 3, 8, 8), name).shape == (0, 3, 8, 8)
    x = random_images(3, 3, 32, 32)
    expected = corrupt(x, name)
    array = CORRUPTIONS[name](x.numpy(), 3, 0)
    assert isinstance(array, np.ndarray)
    assert np.array_equal(array, expected.numpy())
    assert corrupt(x.half(), name).dtype == torch.float16
    last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(corrupt(last, name), expected)


RANDOM = [name for name in CORRUPTIONS if name in ("glass_blur", "motion_blur", "snow", "frost", "fog", "spatter")]
RANDOM += ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "elastic_transform"]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_chance_differs_between_images_and_seeds_where_there_is_any(name):
    x = photographs(48)[:1].expand(3, -1, -1, -1)
    changed = corrupt(x, name, 5, 1)
    assert torch.equal(changed[0], changed[1]) == (name not in RANDOM)
    assert torch.equal(changed, corrupt(x, name, 5, 2)) == (name not in RANDOM)


@pytest.mark.parametrize("side", [32, 100, 224])
@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in NOT_MONOTONE])
def test_a_higher_severity_is_farther_from_the_clean_image(name, side):
    x = photographs(side)
    distances = [(corrupt(x, name, severity) - x).square().mean().item() for severity in SEVERITIES]
    assert all(low < high for low, high in pairwise(distances)), distances


def noisy(name, x, constant, rng):
    """The noises of the reference, with NumPy's own generator."""
    if name == "gaussian_noise":
        return x + rng.normal(size=x.shape) * constant
    if name == "speckle_noise":
        return x + x * rng.normal(size=x.shape) * constant
    if name == "shot_noise":
        return rng.poisson(x * constant) / constant
    flipped, salted = rng.random(x.shape) < constant, rng.random(x.shape) < 0.5
    return np.where(flipped, salted, x)


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "shot_noise", "impulse_noise"])
def test_noises_have_the_mean_and_spread_of_numpys(name, severity, side):
    x = photographs(side).repeat(32 if side == 32 else 1, 1, 1, 1)
    ours = corrupt(x, name, severity).numpy()
    (constant,) = severity_constants(name, severity, side)
    theirs = np.clip(noisy(name, x.numpy().astype(float), constant, np.random.default_rng(0)), 0, 1)
    for changed, expected in ((ours, theirs), (ours - x.numpy(), theirs - x.numpy())):
        assert changed.std() == pytest.approx(expected.std(), rel=0.05)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)


def shuffled(image, reach, rounds, rng):
    """The reference's loop: pixels take turns from the last to the first."""
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(rounds):
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                down, across = rng.integers(-reach, reach, 2)
                here, there = (row, column), (row + down, column + across)
                image[here], image[there] = image[there].copy(), image[here].copy()
    return image


@pytest.mark.parametrize("severity", SEVERITIES)
def test_glass_has_the_mean_and_spread_of_the_loop_over_pixels(severity):
    x = photographs(64)[:2]
    sigma, reach, rounds = severity_constants("glass_blur", severity, 64)
    ours = corrupt(x, "glass_blur", severity).numpy()
    rng, theirs = np.random.default_rng(0), []
    for image in x.permute(0, 2, 3, 1).double().numpy():
        smooth = ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest")
        mixed = shuffled(smooth, round(reach), round(rounds), rng)
        theirs.append(ndimage.gaussian_filter(mixed, (sigma, sigma, 0), mode="nearest").transpose(2, 0, 1))
    theirs = np.stack(theirs)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.05)
    # What the swaps change, too, if not to the pixel.
    assert (ours - x.numpy()).std() == pytest.approx((theirs - x.numpy()).std(), rel=0.15)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("side", [32, 224])
def test_frost_has_the_colours_of_the_photographs(severity, side):
    # Mean colour and spread of the five photographs in the reference, under its formula.
    keep, strength = severity_constants("frost", severity, side)
    x = torch.full((200 if side == 32 else 40, 3, side, side), 0.1)
    changed = corrupt(x, "frost", severity)
    expected = 0.1 * keep + strength * torch.tensor([0.563, 0.645, 0.692])
    torch.testing.assert_close(changed.mean((0, 2, 3)), expected, rtol=0.15, atol=0)
    within = changed.var((2, 3)).mean().sqrt().item()
    assert within == pytest.approx(0.09 * strength, rel=0.15)


@pytest.mark.parametrize("severity", [1, 2, 3])
@pytest.mark.parametrize("side", [32, 224])
def test_water_covers_what_the_noise_says_and_is_pale_turquoise(severity, side):
    mean, spread, sigma, threshold, strength, _ = severity_constants("spatter", severity, side)
    x = torch.zeros(40, 3, side, side)
    changed = corrupt(x, "spatter", severity)
    drops = [
        ndimage.gaussian_filter(np.random.default_rng(k).normal(mean, spread, (side, side)), sigma, mode="nearest")
        for k in range(40)
    ]
    covered = np.mean([drop > threshold for drop in drops])
    touched = (changed > 0).any(1).float().mean().item()
    assert 0.5 * covered < touched < 1.15 * covered  # the emboss leaves the shadow side of a drop dark
    assert changed[:, 1].amax().item() == pytest.approx(strength * 238 / 255, rel=0.15)
    lit = changed[:, 1] > 0.01
    torch.testing.assert_close(changed[:, 0][lit] / changed[:, 1][lit], torch.full((int(lit.sum()),), 175 / 238))


def test_distances_are_octagonal_and_cut_off():
    mask = torch.zeros(1, 1, 61, 61, dtype=torch.bool)
    mask[0, 0, 30, 30] = True
    ours = distance_from(mask)[0, 0].numpy()
    exact = np.minimum(ndimage.distance_transform_edt(~mask[0, 0].numpy()), 20)
    assert ours[30, 30] == 0
    assert ours[30, 35] == 5
    assert ours.max() == 20
    assert np.abs(ours - exact).max() <= 2.1


def test_equalization_spreads_the_levels_by_their_ranks():
    levels = torch.tensor([0.0, 0, 5, 20]).view(1, 1, 2, 2)
    # OpenCV's rule: (cdf - first) / (pixels - first) * 255, with 2, 3 and 4 pixels reached of 4.
    assert equalized(levels).flatten().tolist() == [0, 0, 128, 255]
    assert (equalized(torch.full((1, 1, 3, 3), 7.0)) == 0).all()


def test_the_suite_yields_all_95_cases_alike_for_any_batch_size():
    x = random_images(5, 3, 32, 32)
    suite = CorruptionSuite(seed=3)
    assert len(suite) == 95
    cases = list(suite.corrupted(x))
    assert [case[:2] for case in cases] == [(name, s) for name in CORRUPTIONS for s in SEVERITIES]
    other = CorruptionSuite(seed=3, batch_size=2)
    for (name, severity, images), (_, _, again) in zip(cases, other.corrupted(x), strict=True):
        assert torch.equal(images, again)
        assert torch.equal(images, corrupt(x, name, severity, 3))
    assert pickle.loads(pickle.dumps(suite)) == suite


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: corrupt(x, "mist"), "name must be one of .*'fog'.*, got 'mist'"),
        (lambda x: corrupt(x, "fog", 7), "severity must be an int from 1 to 5, got 7"),
        (lambda x: corrupt(x, "fog", 2.0), "severity must be an int from 1 to 5, got 2.0"),
        (lambda x: corrupt(x[0], "fog"), "x must be a floating"),
        (lambda x: corrupt((x * 255).byte(), "fog"), "x must be a floating .* got torch.uint8"),
        (lambda x: corrupt(x * 255, "fog"), r"x must lie within \[0, 1\], got values from .* to 2\d\d"),
        (lambda x: corrupt(x - 1, "fog"), r"x must lie within \[0, 1\], got values from -"),
        (lambda x: corrupt(x.numpy() * np.nan, "fog"), r"x must lie within \[0, 1\], got values from nan"),
        (lambda x: CORRUPTIONS["fog"](x * 255), r"x must lie within \[0, 1\]"),
        (lambda x: corrupt([1.0], "fog"), "x must be a floating .* got list"),
        (lambda x: corrupt(x, "fog", 3, 0.5), "seed must be an int"),
        (lambda x: corrupt(x, "fog", 3, torch.arange(3)), "seed must be an int or an int64 tensor"),
        (lambda x: CorruptionSuite(names=["mist"]), "names must be among"),
        (lambda x: CorruptionSuite("fgo"), "names must be among .*, got 'fgo'; did you mean 'fog'"),
        (lambda x: CorruptionSuite(severities=6), r"severities must be among \[1, 2, 3, 4, 5\], got 6$"),
        (lambda x: CorruptionSuite(severities="3"), r"severities must be among \[1, 2, 3, 4, 5\], got '3'$"),
        (lambda x: CorruptionSuite(severities=None), "severities must be among .*, got None$"),
        (lambda x: CorruptionSuite(names=[]), "names must be different members"),
        (lambda x: CorruptionSuite(severities=(1, 1)), "severities must be different members"),
        (lambda x: CorruptionSuite(batch_size=0), "batch_size must be >= 1, got 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(random_images(2, 3, 8, 8))


def test_one_name_and_one_severity_are_a_suite_of_one_case():
    suite = CorruptionSuite("fog", 3)
    assert suite == CorruptionSuite(("fog",), (3,))
    assert suite.cases == (("fog", 3),)
    assert len(CorruptionSuite(severities=np.int64(3))) == len(CORRUPTIONS)


def test_numpys_numbers_are_numbers():
    x = random_images(2, 3, 8, 8)
    for name in ("gaussian_noise", "fog"):
        ours = corrupt(x, name, np.int64(2), np.int32(7))
        assert torch.equal(ours, corrupt(x, name, 2, 7))
    suite = CorruptionSuite(np.array(["fog", "snow"]), np.arange(1, 6), np.int64(7), batch_size=np.int64(2))
    assert suite == CorruptionSuite(("fog", "snow"), (1, 2, 3, 4, 5), 7, batch_size=2)
    assert [type(part) for part in (*suite.names, *suite.severities, suite.seed, suite.batch_size)] == [
        *[str] * 2,
        *[int] * 7,
    ]

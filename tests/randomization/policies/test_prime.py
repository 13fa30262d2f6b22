"""PRIME's random changes: closed forms of the field, the curve and the filter, and the pipeline made of them."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from art_domainrand.core.hashing import normal_field
from art_domainrand.randomization import (
    ColorCurve,
    Constant,
    Diffeomorphism,
    Draw,
    MixedChains,
    OneOf,
    Pipeline,
    RandomDepth,
    RandomFilter,
    prime,
)
from art_domainrand.randomization.prime.color_curve import STEPS
from art_domainrand.randomization.prime.diffeomorphism import folded, kept, temperatures


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def displacements(n, cutoff, temperature, size=24):
    """Fields with one cutoff: it is 3/2 + share * (modes - 1), the middle of the step that PRIME cuts to an int."""
    transform = Diffeomorphism(Constant(temperature), Constant((cutoff - 1.5) / 9), Constant(10.0))
    draw = Pipeline(transform).sample(n, seeded())
    return transform.displacement(transform.values(draw.u.double(), draw.seeds), size, size)


def bounds(cutoff, size):
    """The least and the largest temperature of an int cutoff: half a pixel, and the first fold (Petrini et al.)."""
    low, high = 1 / (math.pi * size**2 * math.log(cutoff)), 4 / (math.pi**3 * cutoff**2 * math.log(cutoff))
    return low, max(low, high)


@pytest.mark.parametrize("cutoff", [2, 5, 9])
def test_the_mean_square_of_the_displacement_is_that_of_its_modes(cutoff):
    """E u(x, y)^2 = n^2 T sum over modes of sin(i pi x)^2 sin(j pi y)^2 / (i^2 + j^2), which is zero at the border."""
    size, temperature = 24, 0.5
    found = displacements(1500, cutoff, temperature, size)
    low, high = bounds(cutoff, size)
    place = np.linspace(0, 1, size)
    expected = np.zeros((size, size))
    for i in range(1, 12):
        for j in range(1, 12):
            wave = np.outer(np.sin(j * np.pi * place), np.sin(i * np.pi * place))
            expected += (math.hypot(i, j) < cutoff + 0.5) * wave**2 / (i**2 + j**2)
    expected *= size**2 * (low + temperature * (high - low))
    measured = found.square().mean((0, 1)).numpy()
    inner = (slice(1, -1), slice(1, -1))
    assert np.abs(measured[inner] / expected[inner] - 1).max() < 0.25
    assert abs(measured.mean() / expected.mean() - 1) < 0.05
    for border in (found[..., 0], found[..., -1], found[..., 0, :], found[..., -1, :]):
        assert border.abs().max() < 1e-12


def test_the_default_field_has_the_law_of_a_cutoff_cut_to_an_int():
    """How far pixels move for a draw of cutoff and temperature, against PRIME's own way of drawing these two.

    The number of modes is an int from 3 to 100, all as likely; cutoff and temperature lie towards the ends of their
    intervals, by Beta(1/2, 1/2).
    """
    count, size = 20000, 32
    generator = np.random.default_rng(0)
    numbers, place = np.arange(1, 101), np.linspace(0, 1, size)
    squares = (np.sin(np.pi * place[:, None] * numbers) ** 2).mean(0)
    radius = np.hypot(numbers[:, None], numbers)
    last = np.ceil(radius - 0.5).astype(int)  # the first int cutoff that the wave is kept at
    power = np.cumsum(np.bincount(last.ravel(), (squares[:, None] * squares / radius**2).ravel()))
    modes = generator.integers(3, 101, count)
    cutoff = np.minimum(2 + (generator.beta(0.5, 0.5, count) * (modes - 1)).astype(int), modes)
    low, high = np.array([bounds(one, size) for one in range(2, 101)]).T[:, cutoff - 2]
    theirs = size * np.sqrt(power[cutoff] * (low + generator.beta(0.5, 0.5, count) * (high - low)))

    transform = Diffeomorphism()
    draw = Pipeline(transform).sample(1200, seeded())
    ours = transform.displacement(transform.values(draw.u, draw.seeds), size, size).square().mean((1, 2, 3)).sqrt()
    # A single field's mean square varies about its expectation, so what is compared is no finer than quantiles.
    assert float(ours.square().mean()) == pytest.approx(np.square(theirs).mean(), rel=0.2)
    for level in (0.25, 0.5, 0.75):
        assert float(ours.quantile(level)) == pytest.approx(np.quantile(theirs, level), rel=0.1)


def test_between_two_ints_the_cutoff_goes_over_from_one_law_to_the_next():
    """On average over the interval, half of the entering waves' variance and the mean of both temperatures."""
    cutoff = torch.linspace(4, 5, 1001, dtype=torch.float64)[:-1]
    radius = torch.tensor([4.49, 4.51, 5.49, 5.51], dtype=torch.float64)
    shares = kept(cutoff[:, None], radius)
    torch.testing.assert_close(shares.mean(0), torch.tensor([1.0, 0.5, 0.5, 0.0]).double(), atol=1e-3, rtol=0)
    assert shares[0].tolist() == [1, 0, 0, 0]
    for found, ends in zip(temperatures(cutoff, 64**2), zip(bounds(4, 64), bounds(5, 64), strict=True), strict=True):
        assert float(found.mean()) == pytest.approx(sum(ends) / 2, rel=1e-3)


@pytest.mark.parametrize(("size", "count"), [(1, 5), (2, 7), (3, 4), (6, 3), (6, 4), (6, 23), (9, 40)])
def test_waves_finer_than_the_pixels_are_folded_into_others(size, count):
    """The variance at every pixel is that of all waves."""
    variance = torch.rand(1, count, dtype=torch.float64, generator=seeded())
    place = np.linspace(0, 1, size)

    def squared(waves):
        return torch.from_numpy(np.sin(np.pi * place[:, None] * np.arange(1, waves + 1)) ** 2)

    fewer = folded(variance, size)
    assert fewer.shape[1] <= max(size - 2, 1)
    torch.testing.assert_close(squared(fewer.shape[1]) @ fewer[0], squared(count) @ variance[0])


def test_temperatures_are_those_of_half_a_pixel_and_of_the_first_fold():
    """A pixel is typically displaced by n sqrt(pi T log c) / 2: half a pixel, and a radian of the finest wave."""
    cutoff = torch.tensor([3.0, 6.0], dtype=torch.float64)
    low, high = temperatures(cutoff, 64**2)
    torch.testing.assert_close(64 * (math.pi * low * cutoff.log()).sqrt() / 2, torch.full_like(cutoff, 0.5))
    torch.testing.assert_close(64 * (math.pi * high * cutoff.log()).sqrt() / 2, 64 / (math.pi * cutoff))
    assert torch.equal(*temperatures(torch.tensor([60.0]), 32**2)), "half a pixel folds already"


def test_an_image_of_one_colour_and_the_border_of_any_stay():
    x = torch.rand(8, 3, 20, 20, generator=seeded())
    draw = Pipeline(Diffeomorphism()).sample(8, seeded(1))
    changed = Pipeline(Diffeomorphism()).apply(x, draw)
    for edge in ((..., 0), (..., -1), (..., 0, slice(None)), (..., -1, slice(None))):
        torch.testing.assert_close(changed[edge], x[edge], atol=1e-4, rtol=0)
    flat = torch.full_like(x, 0.3)
    torch.testing.assert_close(Pipeline(Diffeomorphism()).apply(flat, draw), flat)
    assert (changed - x).abs().max() > 0.1


def test_labels_do_not_follow_a_field_that_may_fold():
    pipeline = Pipeline(Diffeomorphism())
    with pytest.raises(ValueError, match="labels cannot follow Diffeomorphism"):
        pipeline.geometry(pipeline.sample(1), (8, 8))


def test_a_curve_ends_at_black_and_white_and_is_a_sum_of_sines():
    """On the levels of 8 bits: the sines are orthogonal, so each has the variance of a coefficient."""
    count, waves, strength = 3000, 6, 1e-4
    levels = torch.linspace(0, 1, STEPS // 4 + 1, dtype=torch.float64)
    transform = ColorCurve(Constant(strength), Constant(float(waves)))
    draw = Pipeline(transform).sample(count, seeded())
    x = levels.view(1, 1, 1, -1).expand(count, 1, 1, -1).contiguous()
    curve = (Pipeline(transform).apply(x, draw) - x)[:, 0, 0]
    assert curve[:, 0].abs().max() == 0
    assert curve[:, -1].abs().max() < 1e-12
    middle = slice(40, -40)  # far enough from the ends that nothing is clipped
    sines = torch.sin(math.pi * torch.arange(1, 9)[:, None] * levels)
    fitted = curve[:, middle] @ torch.linalg.pinv(sines[:, middle])
    variance = fitted.square().mean(0)
    assert (variance[:waves] / strength - 1).abs().max() < 0.15
    assert variance[waves:].max() < 1e-3 * strength
    assert (fitted[:, :waves].T.corrcoef() - torch.eye(waves)).abs().max() < 0.1


def test_channels_have_curves_of_their_own_and_images_too():
    x = torch.rand(1, 1, 8, 8, generator=seeded()).expand(4, 3, 8, 8)
    transform = Pipeline(ColorCurve((0.005, 0.01)))
    changed = transform.apply(x, transform.sample(4, seeded()))
    assert len(torch.unique(changed.flatten(0, 1).flatten(1), dim=0)) == 12


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_filter_is_torchs_with_a_kernel_of_the_identity_and_normal_numbers(size):
    count = 400
    transform = Pipeline(RandomFilter(Constant(0.2), size))
    delta = torch.zeros(count, 1, 2 * size + 1, 2 * size + 1, dtype=torch.float64)
    delta[:, :, size, size] = 1.0
    draw = transform.sample(count, seeded())
    shown = transform.apply(torch.cat((0.25 * delta, 1 - 0.25 * delta)), draw.repeat(2)).chunk(2)
    reach = size // 2
    inner = slice(size - reach, size + reach + 1)
    # A pixel shows the kernel turned by 180 degrees, but where it is negative or large and clipped.
    kernel = shown[0][:, :, inner, inner].flip((2, 3)) / 0.25
    free = ((kernel > 0) & (kernel < 4)).double()
    identity = torch.zeros(size, size, dtype=torch.float64)
    identity[reach, reach] = 1.0
    numbers = ((kernel - identity) / 0.2)[free.bool()]
    assert abs(float(numbers[numbers > 0].square().mean()) - 1) < 0.15
    assert kernel[:, 0, reach, reach].mean() == pytest.approx(1.0, abs=0.05)
    x = 0.2 + 0.01 * torch.rand(count, 2, 7, 7, dtype=torch.float64, generator=seeded())
    mild = Pipeline(RandomFilter(Constant(0.02), size))
    ours = mild.apply(x, draw)
    values = mild.chain.values(draw.u.double(), draw.seeds)["0"]
    weights = identity + 0.02 * normal_field(values["seed"], size**2, torch.float64).view(count, size, size)
    theirs = torch.cat(
        [functional.conv2d(one[:, None], weight[None, None], padding=reach) for one, weight in zip(x, weights)]  # noqa: B905
    )
    torch.testing.assert_close(ours.flatten(0, 1), theirs[:, 0].clamp(0, 1))


def test_prime_is_three_chains_of_one_to_three_of_three():
    (mixed,) = prime().transforms
    assert isinstance(mixed, MixedChains)
    assert isinstance(mixed.transform, RandomDepth)
    assert isinstance(mixed.transform.transform, OneOf)
    kinds = [type(member) for member in mixed.transform.transform.transforms]
    assert (mixed.width, mixed.transform.depth, kinds) == (3, (1, 3), [Diffeomorphism, ColorCurve, RandomFilter])


def test_what_prime_makes_is_within_the_range_of_images():
    pipeline = prime()
    changed = pipeline(torch.rand(64, 3, 12, 12, generator=seeded()), seeded(1))
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
    assert isinstance(pipeline.sample(1), Draw)

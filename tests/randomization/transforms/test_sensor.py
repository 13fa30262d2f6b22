"""The sensor: moments of its noises, levels, and the stand-in gradients."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from art_domainrand.randomization import ImpulseNoise, ISONoise, Pipeline, Quantization, ShotNoise, SpeckleNoise
from art_domainrand.randomization.numerics.poisson import poisson_field


def flat(value, n=4, channels=1, side=256, dtype=torch.float64):
    return torch.full((n, channels, side, side), value, dtype=dtype)


def noisy(transform, x, seed=0):
    return Pipeline(transform)(x, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.7, 3.0, 5.99, 6.0, 9.0, 40.0, 500.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_poisson_field_has_the_poisson_distribution(rate, dtype):
    seeds = torch.arange(8)
    counts = poisson_field(torch.full((8, 40000), rate, dtype=dtype), seeds).double().flatten()
    n = counts.numel()
    assert torch.equal(counts, counts.floor())
    assert counts.mean().item() == pytest.approx(rate, abs=5 * math.sqrt(rate / n) + 2e-3 * math.sqrt(rate))
    spread = 5 * math.sqrt((2 * rate**2 + rate) / n)
    assert counts.var().item() == pytest.approx(rate, abs=spread + 4e-3 * rate)
    if rate:
        values = np.arange(int(counts.max()) + 2)
        empirical = np.searchsorted(np.sort(counts.numpy()), values, side="right") / n
        # Kolmogorov-Smirnov at one in 10^5, and 1e-3 for the expansion.
        assert np.abs(empirical - stats.poisson.cdf(values, rate)).max() < 2.5 / math.sqrt(n) + 1e-3


@pytest.mark.parametrize("photons", [2.0, 30.0, 400.0])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 1.0])
def test_shot_noise_has_mean_x_and_variance_x_over_photons(photons, value):
    x = flat(value)
    changed = noisy(ShotNoise(photons), x)
    n, rate = x.numel(), value * photons
    assert changed.mean().item() == pytest.approx(value, abs=5 * math.sqrt(value / photons / n) + 2e-3 * value)
    spread = 5 * math.sqrt((2 * rate**2 + rate) / n) / photons**2
    assert changed.var().item() == pytest.approx(value / photons, abs=spread + 4e-3 * value / photons)


def test_shot_noise_is_independent_between_pixels_and_images():
    field = noisy(ShotNoise(20.0), flat(0.5, n=8, side=128)).flatten(1) - 0.5
    field = field / field.std()
    between = field @ field.T / field.shape[1]
    assert (between - torch.diag(between.diag())).abs().max() < 5 / 128
    assert (field[:, 1:] * field[:, :-1]).mean().abs() < 5 / math.sqrt(field.numel())


def test_the_gradients_of_shot_noise_are_the_ones_described():
    x = torch.rand(2, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    photons = torch.tensor([30.0, 90.0], dtype=torch.float64, requires_grad=True)
    values = {"photons": photons, "seed": torch.tensor([1, 2])}
    changed = ShotNoise().apply(x, values)
    of_x, of_photons = torch.autograd.grad(changed.sum(), (x, photons))
    assert torch.equal(of_x, torch.ones_like(x))
    noise = (changed - x).detach().sum((1, 2, 3))
    torch.testing.assert_close(of_photons, -noise / (2 * photons.detach()))


def test_impulses_are_as_many_and_as_white_as_said():
    x = flat(0.5, channels=3)
    changed = noisy(ImpulseNoise(0.1, 0.3), x)
    n = x.numel()
    black, white, kept = ((changed == value).double().mean().item() for value in (0.0, 1.0, 0.5))
    assert white == pytest.approx(0.03, abs=5 * math.sqrt(0.03 / n))
    assert black == pytest.approx(0.07, abs=5 * math.sqrt(0.07 / n))
    assert black + white + kept == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("amount", "expected"), [(0.0, 0.5), (1.0, 1.0)])
def test_no_impulses_and_nothing_but_impulses(amount, expected):
    x = flat(0.5)
    assert torch.equal(noisy(ImpulseNoise(amount, 1.0), x), flat(expected))


def test_the_gradient_of_the_impulses_is_that_of_the_mean():
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    amount, salt = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (0.4, 0.6))
    changed = ImpulseNoise().apply(x, {"amount": amount, "salt": salt, "seed": torch.tensor([3])})
    of_x, of_amount, of_salt = torch.autograd.grad(changed.sum(), (x, amount, salt))
    assert torch.equal(of_x, (changed == x).double())
    assert 0 < of_x.mean() < 1
    torch.testing.assert_close(of_amount, (0.6 - x.detach()).sum().view(1))
    torch.testing.assert_close(of_salt, torch.tensor([0.4 * 64], dtype=torch.float64))


@pytest.mark.parametrize("value", [0.25, 1.0])
def test_speckle_grows_with_the_light(value):
    x = flat(value)
    changed = noisy(SpeckleNoise(0.2), x)
    n = x.numel()
    assert changed.mean().item() == pytest.approx(value, abs=5 * 0.2 * value / math.sqrt(n))
    assert changed.std().item() == pytest.approx(0.2 * value, rel=5 / math.sqrt(2 * n))


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_iso_noise_has_the_variance_of_grain_and_colour(value):
    shot, read, color = 0.06, 0.02, 0.03
    x = flat(value, channels=3)
    noise = noisy(ISONoise(shot, read, color), x) - x
    n = x.numel() / 3
    grey = noise.mean(1)
    floor = (0.1 / 255) ** 2
    assert grey.var().item() == pytest.approx(read**2 + shot**2 * value + floor, rel=5 * math.sqrt(2 / n))
    # Taking their mean off three independent numbers leaves two thirds of the variance.
    tint = (noise - grey[:, None]).square().mean().item()
    assert tint == pytest.approx(color**2 * 2 / 3, rel=5 * math.sqrt(2 / n))


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_quantization_rounds_to_the_nearest_of_so_many_levels(bits):
    top = 2**bits - 1
    x = torch.rand(2, 3, 64, 64)
    changed = Pipeline(Quantization(bits))(x)
    torch.testing.assert_close(changed * top, (changed * top).round(), atol=1e-4, rtol=0)
    assert (changed - x).abs().max() <= 0.5 / top + 1e-6
    assert len(torch.unique(changed)) == top + 1


def test_the_gradient_of_quantization_holds_the_rounding_error_in_steps():
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    bits = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    changed = Quantization().apply(x, {"bits": bits})
    of_x, of_bits = torch.autograd.grad(changed.sum(), (x, bits))
    assert torch.equal(of_x, torch.ones_like(x))
    error = (changed - x).detach().sum() * 7
    # The step is 1 / (2^bits - 1), whose slope at 3 is -8 log 2 / 49.
    torch.testing.assert_close(of_bits, (-error * 8 * math.log(2) / 49).view(1))

"""Domains of reference images, each by the property that defines it."""

import copy
import pickle

import kornia.color
import numpy as np
import pytest
import torch

from art_domainrand.randomization import Draw, Pipeline, domain_mapping
from art_domainrand.randomization.domains import REFERENCE_METHODS, Fourier, Histogram, Moments, Reinhard
from art_domainrand.randomization.domains.lab import lab_to_rgb, rgb_to_lab
from art_domainrand.randomization.domains.references import inverse_root


def noise(*shape, seed=1, **kwargs):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **kwargs)


def scenes(n=3, channels=3, height=32, width=40, seed=1):
    """Images with some structure: smooth shapes, correlated channels, values well inside [0, 1]."""
    coarse = torch.nn.functional.interpolate(noise(n, channels, 5, 6, seed=seed), (height, width), mode="bicubic")
    mixed = coarse + coarse.mean(1, keepdim=True) + 0.3 * noise(n, channels, height, width, seed=seed + 1)
    return (0.1 + 0.8 * (mixed - mixed.min()) / (mixed.max() - mixed.min())).float()


def references(n=4, channels=3, height=24, width=30):
    """Others of another size: darker, redder, of less contrast."""
    gains = torch.tensor([0.7, 0.45, 0.4, 0.5, 0.6])[:channels].view(-1, 1, 1)
    return 0.1 + 0.8 * gains * scenes(n, channels, height, width, seed=7)


def full(x, method, examples):
    """Without the final clip."""
    pipeline = Pipeline(method(severity=5).fit(examples))
    return pipeline.apply(x, pipeline.sample(len(x)))


# ---- The defining properties


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("levels", [None, 255])
def test_histogram_gives_every_channel_of_every_image_the_histogram_of_the_references(channels, levels):
    x, examples = noise(3, channels, 48, 40) ** 2, references(channels=channels)
    if levels:  # equal pixels stay equal, so that no value may be too frequent
        x = (x.sqrt() * levels).round() / levels
    y = full(x, Histogram, examples)
    wanted = examples.transpose(0, 1).flatten(1)
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        got = y.flatten(2).quantile(share, dim=2)
        torch.testing.assert_close(got, wanted.quantile(share, dim=1).expand_as(got), atol=0.01, rtol=0)


def test_histogram_keeps_the_order_of_pixels_and_gives_equal_ones_equal_values():
    x = (scenes() * 255).round() / 255
    y = full(x, Histogram, references())
    for image, mapped in zip(x.flatten(0, 1).flatten(1), y.flatten(0, 1).flatten(1), strict=True):
        order = image.argsort()
        assert (mapped[order].diff() >= -1e-6).all()
        first = image == image[0]
        assert torch.equal(mapped[first], mapped[:1].expand_as(mapped[first]))


def test_images_matched_to_themselves_stay_as_they_are():
    x = (scenes(1) * 255).round() / 255
    for method, tolerance in ((Histogram, 1.5 / 255), (Reinhard, 2e-3), (Fourier, 1e-5), (Moments, 1e-3)):
        torch.testing.assert_close(full(x, method, x), x, atol=tolerance, rtol=0)


def test_reinhard_matches_mean_and_deviation_in_lab():
    x, examples = scenes(), references()
    y = full(x, Reinhard, examples)
    assert y.min() >= 0, "nothing left to Kornia's own clipping"
    assert y.max() <= 1
    lab, wanted = kornia.color.rgb_to_lab(y), kornia.color.rgb_to_lab(examples).transpose(0, 1).flatten(1)
    torch.testing.assert_close(lab.mean((2, 3)), wanted.mean(1).expand(3, 3), atol=0.1, rtol=0)
    torch.testing.assert_close(lab.std((2, 3)), wanted.std(1).expand(3, 3), atol=0.1, rtol=0.01)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_reinhard_matches_other_channels_one_by_one(channels):
    x, examples = scenes(channels=channels), references(channels=channels)
    y, wanted = full(x, Reinhard, examples), examples.transpose(0, 1).flatten(1)
    torch.testing.assert_close(y.mean((2, 3)), wanted.mean(1).expand(3, channels), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std((2, 3)), wanted.std(1).expand(3, channels), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(32, 40), (33, 27)])
@pytest.mark.parametrize("beta", [0.0, 0.05, 0.1])
def test_fourier_swaps_low_amplitudes_and_keeps_the_rest_and_all_phases(height, width, beta):
    x = scenes(height=height, width=width).double()
    example = references(1, height=height, width=width).double()
    y = full(x, lambda severity: Fourier(severity=severity, beta=beta), example)
    before, after, wanted = (torch.fft.fftshift(torch.fft.fft2(image), dim=(2, 3)) for image in (x, y, example))
    reach, row, column = int(beta * min(height, width)), height // 2, width // 2
    low = torch.zeros(height, width, dtype=torch.bool)
    low[row - reach : row + reach + 1, column - reach : column + reach + 1] = True
    torch.testing.assert_close(after.abs()[..., low], wanted.abs()[..., low].expand(3, -1, -1))
    torch.testing.assert_close(after[..., ~low], before[..., ~low])
    torch.testing.assert_close(torch.sgn(after[..., low]), torch.sgn(before[..., low]), atol=1e-6, rtol=0)


def test_fourier_takes_the_mean_over_references_of_any_size():
    x, large = scenes().double(), references(3, height=48, width=60).double()
    y = full(x, lambda severity: Fourier(severity=severity, beta=0.1), large)
    spectrum = torch.fft.fft2(y, norm="forward").abs()
    wanted = torch.fft.fft2(large, norm="forward").abs().mean(0)
    for row in range(-3, 4):
        for column in range(-3, 4):
            torch.testing.assert_close(spectrum[..., row, column], wanted[..., row, column].expand(3, 3))
    torch.testing.assert_close(y.mean((2, 3)), large.mean((0, 2, 3)).expand(3, 3))


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_moments_matches_mean_and_covariance(channels):
    x, examples = scenes(channels=channels), references(channels=channels)
    y, wanted = full(x, Moments, examples).flatten(2), examples.transpose(0, 1).flatten(1)
    torch.testing.assert_close(y.mean(2), wanted.mean(1).expand(3, channels), atol=1e-4, rtol=0)
    for image in y:
        torch.testing.assert_close(
            image.cov(correction=0).reshape(channels, channels),
            wanted.cov(correction=0).reshape(channels, channels),
            atol=2e-5,
            rtol=5e-3,
        )


@pytest.mark.parametrize("smallest", [1.0, 1e-3, 1e-6])
def test_the_iteration_finds_the_inverse_square_root(smallest):
    basis = torch.linalg.qr(noise(4, 5, 5, dtype=torch.float64)).Q
    values = torch.logspace(0, float(np.log10(smallest)), 5, dtype=torch.float64)
    matrix = basis @ torch.diag(values) @ basis.mT
    expected = basis @ torch.diag(values.rsqrt()) @ basis.mT
    torch.testing.assert_close(inverse_root(matrix), expected, atol=1e-9, rtol=1e-5)


def test_lab_agrees_with_kornia_and_comes_back():
    x = noise(2, 3, 16, 16, dtype=torch.float64)
    # Kornia's constants have six digits and another rounding of the white point.
    torch.testing.assert_close(rgb_to_lab(x), kornia.color.rgb_to_lab(x) / 100, atol=1e-4, rtol=0)
    wide = x * 3 - 1
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(wide)), wide)


# ---- Fitting


@pytest.mark.parametrize("name", REFERENCE_METHODS)
def test_fitted_once_it_can_be_used_again_and_by_name_it_is_the_same(name):
    x, examples = scenes(), references()
    fitted = REFERENCE_METHODS[name]()
    assert not fitted.is_fitted
    assert fitted.fit(examples) is fitted
    by_name = domain_mapping(x, name, 4, references=examples)
    for severity in (4, 2, 4):
        y = domain_mapping(x, fitted, severity)
        assert torch.equal(y, by_name) == (severity == 4)
    for again in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert torch.equal(domain_mapping(x, again, 4), by_name)
    assert torch.equal(domain_mapping(x, name, 4, references=examples.numpy()), by_name)


@pytest.mark.parametrize("name", REFERENCE_METHODS)
def test_distance_from_the_original_grows_with_severity(name):
    x, examples = scenes(), references()
    distances = torch.stack(
        [(domain_mapping(x, name, s, references=examples) - x).flatten(1).norm(dim=1) for s in (1, 2, 2.5, 3, 4, 5)]
    )
    assert (distances[0] > 0).all()
    assert (distances.diff(dim=0) > 0).all()


def test_named_and_reference_domains_mix_in_one_list():
    x = scenes(1).expand(40, -1, -1, -1)
    y = domain_mapping(x, ["negative", "moments"], 5, references=references(), seed=0)
    negative = (y == 1 - x).flatten(1).all(1)
    moments = (y - domain_mapping(x, "moments", 5, references=references())).abs().flatten(1).amax(1) < 1e-5
    assert (negative ^ moments).all()
    assert 5 < negative.sum() < 35


def test_references_of_paired_modalities_are_read_in_the_named_channels():
    x, examples = noise(2, 4, 16, 16), noise(3, 4, 20, 20, seed=9)
    y = domain_mapping(x, "reinhard", 5, references=examples, channels=(0, 1, 2))
    assert torch.equal(y[:, 3], x[:, 3])
    torch.testing.assert_close(y[:, :3], domain_mapping(x[:, :3], "reinhard", 5, references=examples[:, :3]))


# ---- The promises of every transform


@pytest.mark.parametrize("name", REFERENCE_METHODS)
def test_slicing_commutes_bit_for_bit(name):
    for channels, height, width in ((1, 37, 23), (1, 224, 224), (3, 37, 23), (5, 37, 23)):
        pipeline = Pipeline(REFERENCE_METHODS[name]().fit(references(channels=channels)))
        for layout in (torch.contiguous_format, torch.channels_last):
            x = scenes(7, channels, height, width).contiguous(memory_format=layout)
            draw = pipeline.sample(7)
            whole = pipeline.apply(x, draw)
            for part in (slice(0, 1), slice(2, 6), [6, 0, 3]):
                assert torch.equal(pipeline.apply(x[part], draw[part]), whole[part])


@pytest.mark.parametrize("name", REFERENCE_METHODS)
@pytest.mark.parametrize("kind", ["black", "white", "binary", "beyond"])
def test_value_and_gradient_are_finite(name, kind):
    x = {
        "black": torch.zeros(4, 3, 12, 12),
        "white": torch.ones(4, 3, 12, 12),
        "binary": (noise(4, 3, 12, 12) > 0.5).float(),
        "beyond": noise(4, 3, 12, 12) * 3 - 1,
    }[kind].requires_grad_()
    y = full(x, REFERENCE_METHODS[name], references())
    y.square().sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", REFERENCE_METHODS)
def test_gradients_agree_with_finite_differences(name):
    pipeline = Pipeline(REFERENCE_METHODS[name]().fit(references()))
    draw = pipeline.sample(2, torch.Generator().manual_seed(0))
    # No pixel lies on the border of two bins of the histogram, where its slope jumps.
    levels = 255 * (0.1 + 0.8 * noise(2, 3, 6, 7, dtype=torch.float64))
    x = ((levels.floor() + 0.25 + 0.5 * (levels - levels.floor()) - 0.25) / 255).requires_grad_()
    u = draw.u.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, u: pipeline.apply(x, Draw(u, draw.seeds)), (x, u), eps=1e-8, atol=1e-4, rtol=1e-3
    )


def test_a_reference_domain_keeps_dtypes():
    for name, method in REFERENCE_METHODS.items():
        pipeline = Pipeline(method(severity=5).fit(references()))
        x = scenes()
        y = pipeline.apply(x.double(), pipeline.sample(3))
        assert y.dtype == torch.float64, name
        torch.testing.assert_close(pipeline.apply(x, pipeline.sample(3)).double(), y, atol=2e-4, rtol=0)


# ---- Bad input


def test_what_cannot_be_fitted_or_applied_is_named():
    with pytest.raises(ValueError, match="Moments must be fitted to reference images first"):
        Pipeline(Moments())(torch.rand(1, 3, 4, 4))
    with pytest.raises(ValueError, match="x must have 3 channels, as many as the references, got 1"):
        domain_mapping(torch.rand(1, 1, 4, 4), "histogram", references=torch.rand(2, 3, 4, 4))
    for bad, message in (
        (torch.rand(3, 4, 4), r"references must be a \(B, C, H, W\) tensor or array, got shape \(3, 4, 4\)"),
        (torch.rand(0, 3, 4, 4), "references must be at least one image"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "references must be floating"),
        (torch.full((1, 3, 4, 4), 2.0), r"references must lie within \[0, 1\], got values from 2 to 2"),
        ([torch.rand(3, 4, 4)], "references must be .* got list"),
    ):
        with pytest.raises(ValueError, match=message):
            Histogram().fit(bad)
    with pytest.raises(ValueError, match=r"beta must be in \[0, 0.5\], got 0.7"):
        Fourier(beta=0.7)
    with pytest.raises(ValueError, match="channels must be below the 3 of references"):
        domain_mapping(torch.rand(1, 4, 4, 4), "moments", references=torch.rand(1, 3, 4, 4), channels=(1, 3))

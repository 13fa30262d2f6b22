"""Tone curves against PIL and Kornia, and their stand-in gradients against what they are said to be."""

import kornia.enhance as E  # noqa: N812
import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from art_domainrand.randomization import AutoContrast, Equalize, Pipeline, Posterize, Sharpness, Solarize
from art_domainrand.randomization.transforms.tone import flat_histogram


def photo(n=3, channels=3, height=37, width=41, seed=0):
    """Smooth 8-bit images that do not reach black or white."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    grain = torch.rand(n, channels, height, width, generator=generator) * 0.1
    return ((smooth * 0.6 + 0.1 + grain).clamp(0, 1) * 255).round() / 255


def by_pil(x, change):
    """Run ``change`` of a PIL image over a batch."""
    images = [Image.fromarray((image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)) for image in x]
    return torch.stack([torch.from_numpy(np.array(change(image))).permute(2, 0, 1) / 255 for image in images])


@pytest.mark.parametrize("threshold", [1, 100, 128, 255])
def test_solarize_is_pils(threshold):
    ours = Pipeline(Solarize(threshold / 255))(photo())
    torch.testing.assert_close(ours, by_pil(photo(), lambda image: ImageOps.solarize(image, threshold)))


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pils(bits):
    ours = Pipeline(Posterize(bits))(photo())
    torch.testing.assert_close(ours, by_pil(photo(), lambda image: ImageOps.posterize(image, bits)))


def test_posterize_draws_whole_numbers_of_bits_equally_often():
    n = 4000
    ramp = (torch.arange(256) / 255).view(1, 1, 1, 256).expand(n, 1, 1, 256)
    changed = Pipeline(Posterize())(ramp, torch.Generator().manual_seed(0))
    levels = (changed.diff(dim=3) != 0).sum((1, 2, 3)) + 1
    for bits in (3, 4, 5, 6):
        share = (levels == 2**bits).double().mean().item()
        assert share == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / n) ** 0.5)


def test_equalize_is_pils_and_kornias():
    x = photo()
    torch.testing.assert_close(Pipeline(Equalize(1.0))(x), by_pil(x, ImageOps.equalize))
    torch.testing.assert_close(flat_histogram(x), E.equalize(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_equalize_leaves_a_flat_channel_alone(value):
    x = torch.full((1, 2, 16, 16), round(value * 255) / 255)
    assert torch.equal(Pipeline(Equalize(1.0))(x), x)


def test_auto_contrast_is_pils_up_to_its_table():
    x = photo()
    ours = Pipeline(AutoContrast(1.0))(x)
    assert torch.allclose(ours.amin((2, 3)), torch.zeros(3, 3), atol=1e-6)
    assert torch.allclose(ours.amax((2, 3)), torch.ones(3, 3), atol=1e-6)
    assert (ours - by_pil(x, ImageOps.autocontrast)).abs().max() <= 1 / 255 + 1e-6, "PIL truncates to whole levels"


def test_auto_contrast_leaves_a_flat_channel_alone():
    x = torch.full((2, 3, 8, 8), 0.3)
    assert torch.equal(Pipeline(AutoContrast(1.0))(x), x)


@pytest.mark.parametrize("make", [Equalize, AutoContrast])
def test_half_an_amount_is_halfway(make):
    x = photo()
    full = Pipeline(make(1.0))(x)
    torch.testing.assert_close(Pipeline(make(0.5))(x), (x + full) / 2)
    torch.testing.assert_close(Pipeline(make(0.0))(x), x)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.8])
def test_sharpness_is_pils_and_kornias(factor):
    x = photo()
    ours = Pipeline(Sharpness(factor))(x)
    theirs = by_pil(x, lambda image: ImageEnhance.Sharpness(image).enhance(factor))
    error = (ours.clamp(0, 1) - theirs).abs()
    assert error.max() <= (1 + 0.5 * abs(1 - factor)) / 255 + 1e-6, "PIL rounds the smooth image, then truncates"
    torch.testing.assert_close(ours.clamp(0, 1), E.sharpness(x, factor), atol=1e-5, rtol=0)


def test_the_gradient_of_solarizes_threshold_is_the_central_difference():
    x = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    threshold = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    values = {"threshold": threshold.view(1)}
    total = Solarize().apply(x, values).sum()
    (gradient,) = torch.autograd.grad(total, threshold)
    high, low = (
        Solarize().apply(x, {"threshold": (threshold + step).detach().view(1)}).sum()
        for step in (Solarize.REACH, -Solarize.REACH)
    )
    torch.testing.assert_close(gradient, (high - low) / (2 * Solarize.REACH))


def test_the_gradient_of_solarizes_image_is_exact():
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(Pipeline(Solarize(0.5))(x).sum(), x)
    assert torch.equal(gradient, torch.where(x >= 0.5, -1.0, 1.0))


@pytest.mark.parametrize("make", [lambda: Posterize(3), lambda: Equalize(0.7)])
def test_the_image_gradient_of_a_step_is_the_identity(make):
    x, weight = torch.rand(2, 3, 8, 8, requires_grad=True), torch.rand(2, 3, 8, 8)
    (gradient,) = torch.autograd.grad((Pipeline(make())(x) * weight).sum(), x)
    assert torch.equal(gradient, weight)


def test_the_gradient_of_posterizes_bits_follows_the_mean():
    # On evenly spread values the mean falls by half a step, less half a level: the slope of -2^(8 - bits) / 510.
    x = ((torch.rand(1, 1, 400, 400, dtype=torch.float64) * 256).floor() + 0.0) / 255
    bits = torch.tensor([4.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(Posterize().apply(x, {"bits": bits}).mean(), bits)
    lost = (x - Posterize().apply(x, {"bits": bits}).detach()).mean()
    assert gradient.item() == pytest.approx(np.log(2) * lost.item(), rel=1e-9)
    assert lost.item() == pytest.approx(15 / 510, rel=0.02)

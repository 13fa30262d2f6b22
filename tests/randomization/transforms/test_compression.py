"""Large pixels and JPEG against PIL."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from art_domainrand.randomization import JPEG, Pipeline, Pixelate


def photo(channels=3, height=96, width=80, seed=0):
    """Smooth images with edges and some grain, in 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, channels, 7, 7, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    smooth[:, :, height // 3 : height // 2, width // 4 : width // 2] *= 0.5
    grain = torch.randn(2, channels, height, width, generator=generator) * 0.02
    return ((smooth + grain).clamp(0, 1) * 255).round() / 255


def by_pil(x, quality):
    results = []
    for image in x:
        pixels = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels).save(file, "JPEG", quality=quality)
        decoded = np.array(Image.open(file)).reshape(pixels.shape)
        results.append(torch.from_numpy(decoded).permute(2, 0, 1) / 255)
    return torch.stack(results)


def psnr(a, b):
    return -10 * torch.log10((a - b).square().mean()).item()


@pytest.mark.parametrize("quality", [5, 15, 30, 50, 75, 90, 95])
@pytest.mark.parametrize(("channels", "height", "width"), [(3, 96, 80), (1, 96, 80), (3, 61, 45)])
def test_jpeg_is_pils(quality, channels, height, width):
    x = photo(channels, height, width)
    ours, theirs = Pipeline(JPEG(quality))(x), by_pil(x, quality)
    assert psnr(ours, theirs) >= 35, "a coefficient between two steps may be rounded the other way"
    assert psnr(ours, theirs) > psnr(x, theirs) + 5, "the codec explains the change"


SIZES = [
    (8, 8),
    (16, 16),
    (9, 9),
    (24, 24),
    (30, 34),
    (16, 18),
    (17, 32),
    (32, 17),
    (4, 4),
    (5, 3),
    (3, 5),
    (2, 9),
    (1, 1),
]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("quality", [40, 75, 95])
def test_jpeg_is_pils_up_to_the_last_row_and_column(height, width, quality):
    # Noise in colour is the worst case: every row and column of the reduced chroma differs from its neighbours.
    x = (torch.rand(20, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
    error = 255 * (Pipeline(JPEG(float(quality)))(x) - by_pil(x, quality)).abs()
    assert error.mean() < 1.5, "libjpeg works in whole numbers, and a coefficient between two steps may go either way"
    assert error[:, :, -2:].mean() < 2
    assert error[:, :, :, -2:].mean() < 2


def test_each_image_has_its_own_quality():
    x = photo()[:1].repeat(2, 1, 1, 1)
    changed = JPEG().apply(x, {"quality": torch.tensor([10.0, 80.0])})
    for quality, image in zip((10, 80), changed, strict=True):
        assert psnr(image[None], by_pil(x[:1], quality)) >= 40


def test_the_value_is_the_same_with_and_without_a_gradient():
    x = photo()
    plain = Pipeline(JPEG(40))(x)
    assert torch.equal(Pipeline(JPEG(40))(x.clone().requires_grad_()).detach(), plain)


def test_the_image_gradient_is_that_of_the_chroma_resolution():
    # With the roundings passed straight through, DCT and inverse cancel; a grey image gradient comes back whole.
    x = photo(1).double().requires_grad_()
    weight = torch.rand(x.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((Pipeline(JPEG(30))(x) * weight).sum(), x)
    torch.testing.assert_close(gradient, weight)
    # In colour, the luma of a 2x2 block's mean passes unchanged.
    x = torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(Pipeline(JPEG(30))(x).sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_and_white_images_have_a_gradient(value):
    x = torch.full((1, 3, 16, 16), value, requires_grad=True)
    (gradient,) = torch.autograd.grad(Pipeline(JPEG(50))(x).sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x), atol=1e-5, rtol=0)


def test_the_gradient_of_the_quality_holds_the_rounding_errors_in_steps():
    x = photo(1).double()
    quality = torch.tensor([20.0, 20.0], dtype=torch.float64, requires_grad=True)
    changed = JPEG().apply(x, {"quality": quality})
    energy = (changed - x).square().sum()
    (gradient,) = torch.autograd.grad(energy, quality)
    assert (gradient < 0).all(), "a better quality has smaller errors"


@pytest.mark.parametrize("side", [2, 4, 8])
def test_pixelate_is_pils_box_and_nearest(side):
    x = photo()
    ours = Pipeline(Pixelate(float(side)))(x)
    for image, changed in zip(x, ours, strict=True):
        for channel, result in zip(image, changed, strict=True):
            picture = Image.fromarray(channel.numpy())
            small = picture.resize((channel.shape[1] // side, channel.shape[0] // side), Image.Resampling.BOX)
            large = np.array(small.resize(picture.size, Image.Resampling.NEAREST))
            np.testing.assert_allclose(result, large, atol=1e-5)


def test_pixelate_by_a_fraction_averages_pixels_by_their_share():
    x = torch.tensor([0.0, 6.0, 3.0, 9.0, 1.0]).view(1, 1, 1, 5)
    changed = Pipeline(Pixelate(2.5))(x.expand(1, 1, 5, 5))
    first, second = (0 + 6 + 0.5 * 3) / 2.5, (0.5 * 3 + 9 + 1) / 2.5
    expected = torch.tensor([first, first, second, second, second])
    torch.testing.assert_close(changed, expected.expand(1, 1, 5, 5))


def test_blocks_of_one_pixel_change_nothing():
    x = photo()
    # Running sums over a line of ones are exact to 1e-7 of their length.
    torch.testing.assert_close(Pipeline(Pixelate(1.0))(x), x, atol=5e-5, rtol=0)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="quality must be >= 1 and <= 100, got values from 0 to 0"):
        JPEG(0)
    with pytest.raises(ValueError, match=r"block must be >= 1, got values from 0\.5 to 0\.5"):
        Pixelate(0.5)

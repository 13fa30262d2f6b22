"""Colour, gamma and blur against Kornia's functional operations and closed forms."""

import kornia
import pytest
import torch
from kornia.filters import gaussian_blur2d

from art_domainrand.randomization import (
    Brightness,
    Contrast,
    Gamma,
    GaussianBlur,
    Grayscale,
    HSVHue,
    HSVSaturation,
    Hue,
    Invert,
    Occlusion,
    Pipeline,
    Saturation,
    WhiteBalance,
)
from art_domainrand.randomization.transforms.gamma import TOE

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


def images(batch=4, channels=3, low=0.3, high=0.7):
    """Away from 0 and 1, where Kornia's functions would clip."""
    return low + (high - low) * torch.rand(batch, channels, 13, 17, generator=torch.Generator().manual_seed(0))


def apply(transform, x):
    pipeline = Pipeline(transform)
    draw = pipeline.sample(len(x), torch.Generator().manual_seed(1))
    return pipeline.apply(x, draw), pipeline.chain.values(draw.u, draw.seeds)["0"]


def close(ours, expected):
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_brightness_is_kornias_and_does_not_clip():
    ours, values = apply(Brightness(), images())
    close(ours, kornia.enhance.adjust_brightness(images(), values["shift"]))
    assert apply(Brightness(0.5), images(high=1.0))[0].max() > 1.2


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_contrast_about_the_mean_is_kornias(channels):
    x = images(channels=channels)
    ours, values = apply(Contrast((0.8, 1.2)), x)
    close(ours, kornia.enhance.adjust_contrast_with_mean_subtraction(x, values["factor"]))


def test_contrast_about_a_number():
    ours, values = apply(Contrast(pivot=0.2), images())
    close(ours, 0.2 + values["factor"].view(-1, 1, 1, 1) * (images() - 0.2))


def test_saturation_is_kornias():
    ours, values = apply(Saturation(), images())
    close(ours, kornia.enhance.adjust_saturation_with_gray_subtraction(images(), values["factor"]))


def test_grayscale_fades_to_kornias():
    x = images()
    close(apply(Grayscale(1.0), x)[0], kornia.color.rgb_to_grayscale(x).expand_as(x))
    half = apply(Grayscale(0.5), x)[0]
    close(half, (x + kornia.color.rgb_to_grayscale(x)) / 2)


def test_invert_fades_to_the_negative():
    close(apply(Invert(1.0), images())[0], 1 - images())
    close(apply(Invert(0.5), images())[0], torch.full_like(images(), 0.5))


def test_white_balance_multiplies_channels():
    ours, values = apply(WhiteBalance(), images())
    gains = torch.stack((values["temperature"], -values["tint"], -values["temperature"]), 1).exp()
    close(ours, images() * gains[:, :, None, None])


def test_linear_hue_keeps_luma_and_grey_and_turns_by_its_angle():
    x = images()
    turned = apply(Hue(70.0), x)[0]
    close((turned * LUMA).sum(1), (x * LUMA).sum(1))
    grey = x[:, :1].expand_as(x)
    close(apply(Hue(70.0), grey)[0], grey)
    close(apply(Hue(-70.0), turned)[0], x)
    close(apply(Hue(360.0), x)[0], x)
    close(apply(Hue(30.0), apply(Hue(40.0), x)[0])[0], turned)


def test_linear_hue_turns_the_same_way_as_hsv():
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1)
    linear, exact = (apply(kind(40.0), red)[0].flatten() for kind in (Hue, HSVHue))
    assert linear[1] > linear[2]
    assert exact[1] > exact[2], "towards yellow"


def test_hsv_hue_is_kornias():
    ours, values = apply(HSVHue(), images())
    close(ours, kornia.enhance.adjust_hue(images(), torch.deg2rad(values["shift"])))


def test_hsv_saturation_is_kornias_and_keeps_hue_and_value():
    x = images()
    ours, values = apply(HSVSaturation(), x)
    close(ours, kornia.enhance.adjust_saturation(x, values["factor"]))
    before, after = kornia.color.rgb_to_hsv(x), kornia.color.rgb_to_hsv(ours)
    close(after[:, 2], before[:, 2])
    share = (before[:, 1] * values["factor"].view(-1, 1, 1)).clamp(max=1)
    torch.testing.assert_close(after[:, 1], share, atol=1e-4, rtol=1e-3)


def test_gamma_is_kornias_above_the_toe_and_a_line_below():
    x = images(low=TOE, high=1.0)
    ours, values = apply(Gamma((0.4, 2.5)), x)
    close(ours, kornia.enhance.adjust_gamma(x, values["gamma"]))
    toe = torch.linspace(-1, 1, 9).mul(TOE).view(1, 1, 3, 3).double().requires_grad_()
    below = apply(Gamma(0.5), toe)[0]
    close(below, toe * TOE**-0.5)
    (slope,) = torch.autograd.grad(below.sum(), toe)
    close(slope.flatten()[:-1], torch.full((8,), TOE**-0.5).double())


def test_second_derivative_of_gamma():
    x = images(1, 1).double().requires_grad_()
    gamma = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, g: apply(Gamma(g), x)[0], (x[:, :, :2, :2], gamma))


def test_fused_colours_are_the_sequence_of_their_members():
    members = [
        Brightness(0.2),
        Contrast(1.3),
        Saturation(0.6),
        Contrast(0.7),
        Hue(25.0),
        WhiteBalance(0.1, 0.1),
        Contrast(1.2, pivot=0.4),
        Invert(0.2),
        Contrast(1.1),
    ]
    fused = Pipeline(members)
    assert len(fused.chain.stages) == 1
    x = images()
    one_by_one = x
    for member in members:
        one_by_one = Pipeline(member)(one_by_one)
    close(fused(x), one_by_one)


NEUTRAL = [Brightness(0), Contrast(1), Saturation(1), Grayscale(0), Invert(0), Hue(0), WhiteBalance(0, 0), Gamma(1)]


@pytest.mark.parametrize("transform", [*NEUTRAL, GaussianBlur(0)], ids=lambda t: type(t).__name__)
def test_zero_strength_is_the_identity(transform):
    x = images(low=0.0, high=1.0)
    torch.testing.assert_close(apply(transform, x)[0], x, atol=1e-6, rtol=0)


def test_blur_is_kornias_with_one_sigma_for_each_image():
    x = images()
    ours, values = apply(GaussianBlur((0.5, 2.0), kernel_size=9), x)
    close(ours, gaussian_blur2d(x, (9, 9), values["sigma"][:, None].repeat(1, 2)))
    flat = torch.full((2, 2, 9, 9), 0.4)
    close(apply(GaussianBlur(), flat)[0], flat)


def test_blur_kernels_reach_three_sigma_or_as_far_as_mirroring_allows():
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 10, 10] = 1
    assert (apply(GaussianBlur(2.0), impulse)[0] > 0).sum() == 13 * 13
    assert apply(GaussianBlur(5.0), torch.rand(1, 1, 2, 3))[0].isfinite().all()


def test_occlusion_covers_its_rectangle():
    x = images(1)[:, :, :10, :16]
    # Width 0.25 of 16 and height 0.5 of 10 pixels, at 0.5 of the 12 and 0.2 of the 5 that are left: whole pixels.
    covered = apply(Occlusion(0.25, 0.5, 0.5, 0.2, 0.9), x)[0]
    expected = x.clone()
    expected[:, :, 1:6, 6:10] = 0.9
    close(covered, expected)
    area = apply(Occlusion(0.3, 0.33, 0.41, 0.77, 1.0), torch.zeros(1, 1, 30, 40))[0].sum()
    assert area.item() == pytest.approx(0.3 * 40 * 0.33 * 30, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Contrast(pivot="median"), 'pivot must be "mean" or a finite number'),
        (lambda: Contrast(-1), "factor must be >= 0, got values from -1 to -1"),
        (lambda: Grayscale((0, 2)), "amount must be >= 0 and <= 1, got values from 0 to 2"),
        (lambda: GaussianBlur((-1, 1)), "sigma must be >= 0"),
        (lambda: GaussianBlur(1.0, kernel_size=4), "kernel_size must be odd and > 0, got 4"),
        (lambda: Occlusion(width=2), "width must be >= 0 and <= 1"),
    ],
)
def test_bad_arguments_name_the_rule_and_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_a_constant_share_of_the_negative_is_the_formula(share):
    x = torch.rand(3, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    changed = Pipeline([Invert(share)])(x)
    assert torch.allclose(changed, (1 - share) * x + share * (1 - x), rtol=0, atol=1e-15)
    (grad,) = torch.autograd.grad(changed.sum(), x)
    assert torch.allclose(grad, torch.full_like(x, 1 - 2 * share), rtol=0, atol=1e-15)
    assert share < 1 or torch.equal(changed, 1 - x)

"""What is erased, masked, and painted."""

import math

import pytest
import torch

from art_domainrand.randomization import (
    BackgroundRandomization,
    Erasing,
    GridMask,
    Pipeline,
    TextureRandomization,
)
from art_domainrand.randomization.numerics.foreground import foreground, saliency, texture, whitening


def apply(transform, x, seed=0):
    return Pipeline(transform)(x, torch.Generator().manual_seed(seed))


def disc(n=2, channels=3, side=48, radius=10):
    """A bright round object on a dark ground."""
    place = torch.arange(side) - (side - 1) / 2
    inside = (torch.hypot(place[:, None], place) < radius).float()
    return (0.2 + 0.7 * inside).expand(n, channels, side, side).clone(), inside


@pytest.mark.parametrize(("area", "ratio"), [(0.25, 1.0), (0.1, 2.5), (0.02, 0.3)])
def test_the_erased_share_is_the_area(area, ratio):
    x = torch.zeros(5, 1, 60, 80, dtype=torch.float64)
    covered = apply(Erasing(area, ratio, fill=1.0), x)
    torch.testing.assert_close(covered.mean((1, 2, 3)), torch.full((5,), area, dtype=torch.float64))
    for mask in covered[:, 0]:
        height, width = mask.amax(1).sum() / 60, mask.amax(0).sum() / 80
        # Rows and columns at an edge count by their share in the middle of the rectangle, where it is whole.
        assert (height / width).item() == pytest.approx(ratio, rel=1e-6)


def test_a_side_that_does_not_fit_is_cut():
    covered = apply(Erasing(1.0, 4.0, fill=1.0), torch.zeros(1, 1, 30, 30, dtype=torch.float64))
    assert covered.mean().item() == pytest.approx(0.5), "twice as high as the image, half as wide"


def test_the_noise_is_uniform_and_the_rest_is_kept():
    x = torch.full((4, 3, 64, 64), 2.0)
    changed = apply(Erasing(0.3, 1.0), x)
    noise = changed[changed <= 1].double()
    n = noise.numel()
    assert noise.mean().item() == pytest.approx(0.5, abs=5 / math.sqrt(12 * n))
    assert noise.var().item() == pytest.approx(1 / 12, abs=5 * math.sqrt(1 / 180 / n))
    assert (changed == 2).double().mean().item() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 30.0, 45.0])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_grid_covers_the_square_of_its_share(angle, share):
    x = torch.zeros(1, 1, 400, 400, dtype=torch.float64)
    covered = apply(GridMask(0.05, share, angle=angle, fill=1.0), x).mean().item()
    assert covered == pytest.approx(share**2, abs=0.01)


def test_the_grid_has_its_period_and_phase():
    x = torch.zeros(1, 1, 100, 100)
    mask = apply(GridMask(0.2, 0.5, 0.0, 0.0, 0.0, 1.0), x)[0, 0]
    torch.testing.assert_close(mask[20:], mask[:-20])
    torch.testing.assert_close(mask[:, 20:], mask[:, :-20])
    half = apply(GridMask(0.2, 0.5, 0.5, 0.0, 0.0, 1.0), x)[0, 0]
    torch.testing.assert_close(half[:, 10:], mask[:, :-10])


def test_the_saliency_of_an_object_is_all_there_is_on_a_plain_ground():
    x, inside = disc()
    found = saliency(x)
    # Its mean is 1, the ground has none: the object has one over its share of the image.
    torch.testing.assert_close(found, (inside / inside.mean()).expand_as(found), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(foreground(x, torch.ones(2)), inside.expand(2, 1, 48, 48), atol=1e-3, rtol=0)
    assert not saliency(torch.full((1, 3, 8, 8), 0.5)).any(), "a flat image has no object"


def test_an_object_may_touch_one_border():
    x, inside = disc()
    found = saliency(torch.cat((x[:, :, 24:], x[:, :, :24]), dim=2)[:, :, :24])  # its lower half, on the upper border
    half = inside[24:].bool()
    assert found[:, 0, half].min() > 3 > 0.1 > found[:, 0, ~half].max()


def test_saliency_does_not_depend_on_how_colours_are_mixed():
    x, _ = textured("blotches")
    mixed = torch.einsum("ij,bjhw->bihw", torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 4.0]]), x) + 0.3
    torch.testing.assert_close(saliency(mixed * 20), saliency(x * 20), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_whitening_gives_the_inverse(channels):
    root = torch.rand(4, channels, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covariance = root @ root.mT + 0.1 * torch.eye(channels)
    white = whitening(covariance)
    torch.testing.assert_close(white.mT @ white, covariance.inverse())


def textured(kind, n=24, side=64):
    """A bright disc somewhere on a ground with a texture, and where it is, (n, 1, side, side)."""
    generator = torch.Generator().manual_seed(1)
    ramp = torch.arange(side)
    pattern = {
        "blotches": texture(torch.zeros(n, 3, side, side), torch.arange(n), 8),
        "noise": torch.rand(n, 3, side, side, generator=generator),
        "stripes": (ramp // 4 % 2).expand(n, 3, side, side),
        "gradient": (ramp / side).view(-1, 1).expand(n, 3, side, side),
    }[kind]
    tints = torch.rand(2, n, 3, 1, 1, generator=generator)
    ground = 0.15 + 0.5 * (tints[0] + pattern * (tints[1] - tints[0]))
    x, y, radius = (side * (low + 0.3 * torch.rand(n, 1, 1, generator=generator)) for low in (0.35, 0.35, 0.1))
    inside = (torch.hypot(ramp - x, ramp.view(-1, 1) - y) < radius.clamp_max(0.2 * side))[:, None]
    bright = 0.6 + 0.4 * torch.rand(n, 3, 1, 1, generator=generator)
    return torch.where(inside, bright, ground) + 0.02 * torch.randn(n, 3, side, side, generator=generator), inside


def by_distance_from_the_mean(x):
    """Frequency-tuned saliency (Achanta et al., CVPR 2009, equation 4), over its mean."""
    kernel = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    smooth = torch.nn.functional.conv2d(padded, (kernel[:, None] * kernel).expand(3, 1, 5, 5), groups=3)
    squared = (smooth - x.mean((2, 3), keepdim=True)).square().sum(1, keepdim=True)
    return squared / squared.mean((2, 3), keepdim=True)


@pytest.mark.parametrize("kind", ["blotches", "noise", "stripes", "gradient"])
def test_the_object_is_found_on_textured_ground_better_than_by_distance_from_the_mean(kind):
    x, inside = textured(kind)

    def overlap(found):
        here = found > 1
        return ((here & inside).flatten(1).sum(1) / (here | inside).flatten(1).sum(1)).mean().item()

    assert overlap(saliency(x)) > max(0.9, overlap(by_distance_from_the_mean(x)))


def test_a_new_background_leaves_the_object():
    x, inside = disc()
    changed = apply(BackgroundRandomization(1.0, 1.0), x)
    core, ground = inside.bool(), torch.zeros_like(inside, dtype=torch.bool)
    core[:, :16], core[:, 32:] = False, False
    ground[:8] = True
    assert (changed - x)[:, :, core].abs().mean() < 0.05
    assert (changed - x)[:, :, ground].abs().mean() > 0.1
    assert not torch.allclose(changed[0], changed[1]), "each image has its own background"


@pytest.mark.parametrize("mask_channel", [0, 2, 3])
def test_a_given_mask_is_obeyed_exactly_and_kept(mask_channel):
    x, inside = disc()
    joined = torch.cat((x[:, :mask_channel], inside.expand(2, 1, 48, 48), x[:, mask_channel:]), dim=1)
    here = inside.bool()
    for make, changes_inside in ((BackgroundRandomization, False), (TextureRandomization, True)):
        changed = apply(make(1.0, mask_channel=mask_channel), joined)
        assert torch.equal(changed[:, mask_channel], joined[:, mask_channel])
        image = torch.cat((changed[:, :mask_channel], changed[:, mask_channel + 1 :]), dim=1)
        kept, painted = (~here, here) if changes_inside else (here, ~here)
        assert torch.equal(image[:, :, kept], x[:, :, kept])
        assert (image - x)[:, :, painted].abs().mean() > 0.05


def test_a_texture_keeps_the_shading():
    shading = torch.linspace(0.2, 0.8, 32).expand(1, 3, 32, 32)
    painted = apply(TextureRandomization(1.0, whole=True), shading)
    pattern = painted / (2 * shading)
    same_pattern = apply(TextureRandomization(1.0, whole=True), torch.full((1, 3, 32, 32), 0.5))
    torch.testing.assert_close(pattern, same_pattern)


def test_patterns_lie_in_the_unit_range_and_vary():
    pattern = texture(torch.zeros(200, 3, 16, 16), torch.arange(200), 4)
    assert pattern.min() >= 0
    assert pattern.max() <= 1
    assert pattern.mean().item() == pytest.approx(0.5, abs=0.05)
    assert pattern.std((2, 3)).mean() > 0.02


def test_surfaces_differ_in_lightness_and_have_muted_colours():
    pattern = texture(torch.zeros(200, 3, 16, 16), torch.arange(200), 4)
    assert (pattern.amax(1) - pattern.amin(1)).max() <= 0.3 + 1e-6
    assert (pattern.amax(1) - pattern.amin(1)).mean() > 0.05, "yet they are colours"
    lightness = pattern.mean((1, 2, 3))
    assert lightness.std() > 0.1
    assert lightness.min() < 0.3 < 0.7 < lightness.max()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="fill must be \"noise\" or a finite number, got 'red'"):
        Erasing(fill="red")
    with pytest.raises(ValueError, match="cells must be an int > 0, got 0"):
        BackgroundRandomization(cells=0)
    with pytest.raises(ValueError, match="mask_channel must be None or an int >= 0, got -1"):
        TextureRandomization(mask_channel=-1)
    with pytest.raises(ValueError, match="mask_channel must be below 3, with an image beside it, got 3"):
        apply(BackgroundRandomization(mask_channel=3), torch.rand(1, 3, 8, 8))

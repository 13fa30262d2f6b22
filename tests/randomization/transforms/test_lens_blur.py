"""Blur: kernels as pictures of a point, and sums of one."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from art_domainrand.randomization import (
    DefocusBlur,
    Draw,
    GaussianBlur,
    GlassBlur,
    MotionBlur,
    Pipeline,
    Uniform,
    ZoomBlur,
)
from art_domainrand.randomization.numerics.convolution import gaussian_kernel
from art_domainrand.randomization.transforms.lens_blur import convolve_planes, line_kernel, soft_disk


def impulse(side=41, dtype=torch.float64):
    x = torch.zeros(1, 1, side, side, dtype=dtype)
    x[0, 0, side // 2, side // 2] = 1
    return x


@pytest.mark.parametrize(("height", "width", "size"), [(13, 17, 5), (13, 17, 9)])
def test_a_convolution_is_scipys_with_a_mirrored_border(height, width, size):
    x, kernel = torch.rand(2, 3, height, width, dtype=torch.float64), torch.rand(2, size, size, dtype=torch.float64)
    ours = convolve_planes(x, kernel)
    for image, weights, result in zip(x, kernel, ours, strict=True):
        for channel, changed in zip(image, result, strict=True):
            # The flip by which a convolution differs from a correlation is SciPy's too; its "mirror" is our border.
            np.testing.assert_allclose(changed, convolve(channel.numpy(), weights.numpy(), mode="mirror"), atol=1e-12)


@pytest.mark.parametrize(("angle", "step"), [(0, (0, 1)), (90, (1, 0)), (45, (1, 1)), (135, (1, -1))])
def test_motion_blur_of_an_impulse_is_a_line_of_unit_sum(angle, step):
    length = 8.0
    trace = Pipeline(MotionBlur(length, angle, 0.0))(impulse())[0, 0]
    assert trace.sum().item() == pytest.approx(1)
    rows, columns = torch.nonzero(trace > 1e-12, as_tuple=True)
    rows, columns = rows - 20, columns - 20
    off = (rows * step[1] - columns * step[0]).abs() / math.hypot(*step)
    assert (off < 1).all(), "nothing is a pixel or more beside the line"
    reach = torch.hypot(rows.double(), columns.double()).max().item()
    assert length / 2 <= reach < length / 2 + 1.5
    assert torch.allclose(trace, trace.flip(0, 1)), "without a bias both directions are alike"


def test_a_horizontal_motion_is_a_box_with_soft_ends():
    kernel = line_kernel(torch.tensor([5.0]), torch.tensor([0.0]), torch.tensor([0.0]), 3)[0]
    expected = torch.tensor([0.5, 1, 1, 1, 1, 1, 0.5]) / 6
    torch.testing.assert_close(kernel[3], expected)
    assert kernel.sum().item() == pytest.approx(1)
    assert kernel[[0, 1, 2, 4, 5, 6]].abs().max() < 1e-6


@pytest.mark.parametrize(("angle", "further"), [(0.0, (0, 1)), (90.0, (1, 0)), (180.0, (0, -1))])
def test_a_bias_makes_the_trace_brighter_towards_its_end(angle, further):
    trace = Pipeline(MotionBlur(9.0, angle, 1.0))(impulse())[0, 0]
    place = torch.arange(-20, 21, dtype=torch.float64)
    centre = ((trace.sum(1) * place).sum().item(), (trace.sum(0) * place).sum().item())
    assert centre[0] * further[0] + centre[1] * further[1] > 1


def test_no_length_and_no_radius_are_no_blur():
    x = torch.rand(2, 3, 9, 9)
    torch.testing.assert_close(Pipeline(MotionBlur(0.0))(x), x)
    torch.testing.assert_close(Pipeline(DefocusBlur(0.0))(x), x)
    torch.testing.assert_close(Pipeline(ZoomBlur(1.0))(x), x)
    torch.testing.assert_close(Pipeline(GlassBlur(0.0, 0.0))(x), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("radius", [0.3, 1.0, 2.5, 7.0, 20.0])
def test_a_disk_is_round_even_and_sums_to_one(radius):
    reach = math.ceil(radius)
    kernel = soft_disk(torch.tensor([radius], dtype=torch.float64), reach)[0]
    assert kernel.sum().item() == pytest.approx(1)
    for turned in (kernel.flip(0), kernel.flip(1), kernel.T):
        assert torch.equal(kernel, turned)
    # Its height is one over the area, which the soft edge leaves as it is up to lattice effects.
    if radius >= 7:
        assert kernel[reach, reach].item() == pytest.approx(1 / (math.pi * radius**2), rel=0.02)
    place = torch.arange(-reach, reach + 1)
    outside = torch.hypot(place[:, None].double(), place.double()) >= radius + 0.5
    assert not kernel[outside].any()


@pytest.mark.parametrize("blur", [MotionBlur(), DefocusBlur(), GlassBlur()])
def test_blurs_keep_a_flat_image(blur):
    x = torch.full((3, 2, 20, 24), 0.7)
    torch.testing.assert_close(Pipeline(blur)(x), x, atol=1e-5, rtol=0)


def test_zoom_blur_is_the_mean_over_magnifications():
    side, steps, zoom = 201, 2, 1.3
    place = torch.arange(side, dtype=torch.float64) - 100
    # A linear ramp is magnified exactly by bilinear sampling.
    x = (place / 200 + 0.5).expand(1, 1, side, side)
    changed = Pipeline(ZoomBlur(zoom, steps))(x)[0, 0]
    powers = [zoom ** (k / 3) for k in range(4)]
    drawn_in = sum(power**2 for power in powers) / sum(power**3 for power in powers)
    expected = place * sum(1 / (drawn_in * power) for power in powers) / 4 / 200 + 0.5
    inner = slice(20, -20)  # further out the mirrored border is seen
    torch.testing.assert_close(changed[:, inner], expected[inner].expand(side, -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("zoom", [1.0, 1.1, 1.25, 1.5])
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_zoom_blur_leaves_the_centre_of_gravity_in_place(zoom, steps):
    place = torch.arange(257, dtype=torch.float64) - 128
    right, down = 60, -40
    dot = torch.exp(-((place - right) ** 2 + (place[:, None] - down) ** 2) / 2 / 3**2)
    trace = Pipeline(ZoomBlur(zoom, steps))(dot[None, None])[0, 0]
    total = trace.sum()
    assert (trace.sum(0) * place).sum() / total == pytest.approx(right, abs=0.05)
    assert (trace.sum(1) * place).sum() / total == pytest.approx(down, abs=0.05)


def test_zoom_blur_keeps_a_flat_image_up_to_its_border():
    x = torch.full((2, 1, 30, 41), 0.7)
    torch.testing.assert_close(Pipeline(ZoomBlur(1.6))(x), x, atol=1e-5, rtol=0)


def test_glass_reads_from_places_no_further_than_said():
    side, distance = 64, 3.0
    place = torch.arange(side, dtype=torch.float64)
    x = (place / side).expand(1, 1, side, side)
    moved = Pipeline(GlassBlur(distance, 0.0))(x)[0, 0] * side - place
    inner = moved[:, 4:-4]
    assert inner.abs().max() <= distance + 1e-6
    # Uniform on [-3, 3] has the standard deviation 3 / sqrt(3).
    assert inner.std().item() == pytest.approx(distance / math.sqrt(3), rel=0.04)
    assert inner.mean().item() == pytest.approx(0, abs=5 * distance / math.sqrt(3 * inner.numel()))


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_a_large_kernel_on_a_small_image_keeps_its_sum(side):
    x = torch.full((2, 1, side, 7), 0.5)
    for blur in (MotionBlur(15.0), DefocusBlur(9.0), GlassBlur(5.0, 3.0)):
        torch.testing.assert_close(Pipeline(blur)(x), x, atol=1e-5, rtol=0)


def test_what_has_no_kernel_is_refused():
    with pytest.raises(ValueError, match="steps must be an int from 1 to 8, got 0"):
        ZoomBlur(steps=0)
    with pytest.raises(ValueError, match=r"zoom must be >= 1, got values from 0\.5 to 1"):
        ZoomBlur(Uniform(0.5, 1.0))
    with pytest.raises(ValueError, match="length must be >= 0"):
        MotionBlur(-1.0)


@pytest.mark.parametrize("transform", [GaussianBlur(), MotionBlur()])
@pytest.mark.parametrize("shape", [(1, 1, 9, 12), (3, 2, 14, 9)])
def test_the_images_gradient_is_the_same_with_and_without_one_of_the_kernel(transform, shape):
    pipeline = Pipeline(transform)
    draw = pipeline.sample(shape[0], torch.Generator().manual_seed(0))
    weight = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    found = []
    for learned in (False, True):
        x = torch.rand(shape, generator=torch.Generator().manual_seed(2)).requires_grad_()
        changed = pipeline.apply(x, Draw(draw.u.clone().requires_grad_(learned), draw.seeds))
        found.append((changed.detach(), *torch.autograd.grad(changed, x, weight)))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


def test_no_weight_of_a_kernel_is_so_small_that_processors_slow_down():
    kernel = gaussian_kernel(torch.linspace(0.05, 2, 200), 8)
    assert ((kernel == 0) | (kernel > 1e-21)).all()
    torch.testing.assert_close(kernel.sum(1), torch.ones(200))

"""Gains and offsets of single channels, against the formula and the colour matrix."""

import pytest
import torch

from art_domainrand.randomization import ChannelDropout, ChannelShuffle, Contrast, Invert, Pipeline, WhiteBalance
from art_domainrand.randomization.numerics import color_maps
from art_domainrand.randomization.numerics.color_maps import apply_color, scale_about_sums, scale_channels
from art_domainrand.randomization.numerics.matrices import multiply
from art_domainrand.randomization.numerics.positions import frame_of
from art_domainrand.randomization.transforms.channel_order import reorder_channels

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(params=["called", "streamed"])
def any_size(request, monkeypatch):
    """Small images take the way of large ones too."""
    if request.param == "streamed":
        monkeypatch.setattr(color_maps, "LARGE", 0)


def parts(seed=0, columns=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(4, 3, 5, 7, generator=generator, dtype=dtype)
    return (x, *(torch.randn(4, columns, generator=generator, dtype=dtype) for _ in range(2)))


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_scaling_is_a_gain_and_an_offset_for_each_channel(columns, layout):
    x, gains, offset = parts(columns=columns)
    x = x.contiguous(memory_format=layout)
    torch.testing.assert_close(scale_channels(x, gains, offset), x * gains[:, :, None, None] + offset[:, :, None, None])
    mixed = gains[:, :1], offset.expand(-1, 3)
    torch.testing.assert_close(scale_channels(x, *mixed), x * mixed[0][:, :, None, None] + mixed[1][:, :, None, None])


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_first_and_second_derivatives_of_scaling(columns, layout):
    x, gains, offset = (part[:2].clone() for part in parts(columns=columns))
    inputs = [part.requires_grad_() for part in (x[:, :, :2, :3].contiguous(memory_format=layout), gains, offset)]
    assert torch.autograd.gradcheck(scale_channels, inputs)
    assert torch.autograd.gradgradcheck(scale_channels, inputs)


def test_scaling_about_sums_and_its_derivatives():
    x, gains, weights = parts()
    gains = gains[:, :1].clone()
    total = (weights[:, :, None, None] * x).sum((1, 2, 3), keepdim=True)
    torch.testing.assert_close(scale_about_sums(x, gains, weights), x * gains[:, :, None, None] + total)
    inputs = [part[:2].clone().requires_grad_() for part in (x[:, :, :2, :3], gains, weights)]
    assert torch.autograd.gradcheck(scale_about_sums, inputs)
    assert torch.autograd.gradgradcheck(scale_about_sums, inputs)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    "transform", [Invert(), WhiteBalance(), Contrast(), Contrast(pivot=0.3), ChannelDropout(), ChannelShuffle()]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_alone_a_transform_is_its_matrix_with_and_without_a_gradient(transform, layout):
    x = parts(dtype=torch.float32)[0].contiguous(memory_format=layout)
    pipeline = Pipeline(transform)
    draw = pipeline.sample(4, torch.Generator().manual_seed(1))
    values = pipeline.chain.values(draw.u, draw.seeds)["0"]
    alone = transform.apply(x, values)
    torch.testing.assert_close(alone, apply_color(x, transform.matrix(values, frame_of(x))))
    assert torch.equal(transform.apply(x.clone().requires_grad_(), values), alone)
    for part in (slice(0, 1), slice(1, 4)):
        assert torch.equal(pipeline.apply(x[part], draw[part]), pipeline.apply(x, draw)[part])


def test_reordered_channels_take_their_gradient_along():
    x = parts()[0].requires_grad_()
    order = torch.tensor([[2, 0, 1], [0, 1, 2], [1, 2, 0], [0, 2, 1]])
    moved = reorder_channels(x, order)
    expected = torch.stack([image[channels] for image, channels in zip(x, order, strict=True)])
    assert torch.equal(moved, expected)
    assert torch.autograd.gradcheck(lambda x: reorder_channels(x, order), x)
    assert torch.autograd.gradgradcheck(lambda x: reorder_channels(x.square(), order), x)


@pytest.mark.parametrize(("n", "k", "m"), [(2, 3, 3), (5, 5, 6), (7, 7, 11), (7, 7, 32), (2, 12, 851)])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_product_has_the_same_bits_in_any_batch(n, k, m, threads):
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(6, n, k, generator=generator), torch.randn(6, k, m, generator=generator)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole = multiply(left, right)
        torch.testing.assert_close(whole.double(), left.double() @ right.double(), atol=1e-5, rtol=1e-5)
        for part in (slice(0, 1), slice(1, 2), slice(1, 4), [5, 0]):
            assert torch.equal(multiply(left[part], right[part]), whole[part])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 8])
def test_a_colour_matrix_has_the_same_bits_in_both_memory_formats(channels):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, channels, 9, 7, generator=generator)
    matrix = torch.randn(3, channels, channels + 1, generator=generator)
    mixed = apply_color(x, matrix)
    exact = torch.einsum("bij,bjhw->bihw", matrix[:, :, :-1].double(), x.double()) + matrix[:, :, -1:, None].double()
    torch.testing.assert_close(mixed.double(), exact, atol=1e-5, rtol=1e-5)
    turned = apply_color(x.contiguous(memory_format=torch.channels_last), matrix)
    assert turned.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(turned, mixed)

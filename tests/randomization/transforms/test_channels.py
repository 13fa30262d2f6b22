"""Colour on some of the channels, geometry on all."""

import pickle

import kornia.augmentation as K  # noqa: N812
import pytest
import torch

from art_domainrand.randomization import (
    TRANSFORMS,
    Brightness,
    Contrast,
    Draw,
    Gamma,
    GaussianNoise,
    OnChannels,
    OneOf,
    Pipeline,
    RandomCorruption,
    Rotation,
    Saturation,
    Sometimes,
    Transform,
)
from art_domainrand.randomization.core.transform import Kind

RGB = (0, 1, 2)
STILL = [name for name, cls in TRANSFORMS.items() if cls.carry is Transform.carry and cls().tracked]
MOVING = [name for name in TRANSFORMS if name not in STILL]


def noise(*shape, seed=1, **kwargs):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **kwargs)


def draw_for(pipeline, n=4):
    return pipeline.sample(n, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", STILL)
@pytest.mark.parametrize("channels", [(0, 1, 2), (3, 0, 4)])
def test_the_named_channels_are_changed_as_an_image_of_their_own_and_the_others_kept(name, channels):
    transform = TRANSFORMS[name]()
    x, plain, some = noise(4, 5, 12, 10), Pipeline(transform), Pipeline(OnChannels(transform, channels))
    draw = draw_for(plain)
    y = some.apply(x, draw)
    others = [channel for channel in range(5) if channel not in channels]
    assert torch.equal(y[:, others], x[:, others])
    torch.testing.assert_close(y[:, list(channels)], plain.apply(x[:, list(channels)], draw), atol=1e-6, rtol=1e-5)


def test_colour_on_some_channels_still_fuses_and_geometry_moves_all():
    pair = [OnChannels([Contrast(), Saturation()], RGB), Brightness()]
    assert Pipeline(pair).chain.kind is Kind.COLOR
    x = noise(4, 4, 16, 16)
    apart, pipeline = x, Pipeline([*pair, Rotation()])
    draw = draw_for(pipeline)
    values = pipeline.chain.values(draw.u, draw.seeds)
    for index, transform in enumerate(pipeline.transforms):
        apart = transform.apply(apart, values[str(index)])
    torch.testing.assert_close(pipeline.apply(x, draw), apart, atol=1e-5, rtol=1e-5)
    rotated = Rotation().apply(x[:, 3:] + values["1"]["shift"].view(-1, 1, 1, 1), values["2"])
    torch.testing.assert_close(pipeline.apply(x, draw)[:, 3:], rotated, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "transform",
    [
        OnChannels([Saturation(), Gamma(), GaussianNoise()], RGB),
        OnChannels(Contrast(), (2, 0)),
        OnChannels(K.RandomBrightness((0.5, 0.9), p=1.0), (1,)),
        Sometimes(OnChannels(Saturation(), RGB)),
        OneOf([OnChannels(Contrast(), RGB), Brightness()]),
    ],
)
def test_the_promises_of_every_transform(transform):
    pipeline = Pipeline(transform)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = noise(5, 4, 13, 11).contiguous(memory_format=layout)
        draw, copy = draw_for(pipeline, 5), x.clone()
        y = pipeline.apply(x, draw)
        assert torch.equal(x, copy)
        assert y.is_contiguous(memory_format=layout)
        assert not torch.equal(y, x)
        for part in (slice(0, 1), slice(1, 4), [4, 0]):
            assert torch.equal(pipeline.apply(x[part], draw[part]), y[part])
        assert torch.equal(pickle.loads(pickle.dumps(pipeline)).apply(x, draw), y)


@pytest.mark.parametrize("inner", [Contrast(), Gamma()])
def test_gradients_agree_with_finite_differences(inner):
    pipeline = Pipeline(OnChannels(inner, (2, 0)))
    x = (0.1 + 0.8 * noise(2, 3, 4, 5, dtype=torch.float64)).requires_grad_()
    draw = draw_for(pipeline, 2)
    u = draw.u.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, u: pipeline.apply(x, Draw(u, draw.seeds)), (x, u), eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("moving", [Rotation(), [Gamma(), Rotation()], Sometimes(OneOf([Gamma(), Rotation()]))])
def test_geometry_on_some_channels_is_refused(moving):
    with pytest.raises(ValueError, match=r"transform must not move pixels, got Rotation\("):
        OnChannels(moving, RGB)


@pytest.mark.parametrize("name", MOVING)
def test_whatever_carries_points_is_refused(name):
    with pytest.raises(ValueError, match="transform must not move pixels"):
        OnChannels(TRANSFORMS[name](), RGB)


@pytest.mark.parametrize(
    "moving",
    [
        K.RandomAffine(10.0),
        Sometimes([Gamma(), K.RandomElasticTransform()]),
        K.AugmentationSequential(K.RandomHorizontalFlip()),
        K.RandomJigsaw(),
        RandomCorruption(),
        RandomCorruption(("fog", "elastic_transform")),
    ],
)
def test_what_moves_pixels_to_unknown_places_is_refused_too(moving):
    with pytest.raises(ValueError, match=r"transform must not move pixels, got .*; put it into the pipeline beside"):
        OnChannels(moving, RGB)


def test_corruptions_that_leave_pixels_where_they_are_may_be_on_some_channels_and_keep_labels():
    still = RandomCorruption(("fog", "gaussian_noise"))
    assert OnChannels(still, RGB).transform == still
    places = torch.rand(2, 3, 2)
    assert torch.equal(Pipeline(still).geometry(draw_for(Pipeline(still), 2), (8, 8)).keypoints(places), places)
    moving = Pipeline(RandomCorruption())
    with pytest.raises(ValueError, match=r"labels cannot follow RandomCorruption.*, whose geometry is not tracked"):
        moving.geometry(draw_for(moving, 2), (8, 8))


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ((), "at least one"),
        ((1, 1), "distinct"),
        ((0, -1), "ints >= 0"),
        ((0.0,), "ints >= 0"),
        ((True,), "ints >= 0"),
    ],
)
def test_bad_channels_are_named(channels, message):
    with pytest.raises(ValueError, match=f"channels must be .*{message}"):
        OnChannels(Gamma(), channels)


@pytest.mark.parametrize("inner", [Brightness(), Gamma()])
def test_channels_that_the_image_does_not_have_are_named(inner):
    with pytest.raises(ValueError, match=r"channels must be below 3, the number of channels of x, got \(1, 3\)"):
        Pipeline(OnChannels(inner, (1, 3)))(noise(1, 3, 4, 4))

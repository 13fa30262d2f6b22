"""How many channels a pipeline takes: known before anything is drawn, and the same for every draw."""

import kornia.augmentation as K  # noqa: N812
import pytest
import torch

from art_domainrand.randomization import (
    DOMAINS,
    PRESETS,
    TRANSFORMS,
    BackgroundRandomization,
    Brightness,
    ChannelDropout,
    Contrast,
    GaussianNoise,
    Grayscale,
    HSVHue,
    HSVSaturation,
    Hue,
    OnChannels,
    OneOf,
    Pipeline,
    RGBShift,
    Saturation,
    Sometimes,
    TextureRandomization,
    WhiteBalance,
)
from art_domainrand.randomization.domains import Histogram

NOT_GREY = [
    Saturation(),
    Grayscale(),
    Hue(),
    HSVHue(),
    HSVSaturation(),
    WhiteBalance(),
    RGBShift(),
    ChannelDropout(count=2),
    BackgroundRandomization(mask_channel=1),
    TextureRandomization(mask_channel=1),
    OnChannels(Brightness(), (0, 1, 2)),
    Histogram().fit(torch.rand(1, 3, 8, 8)),
    K.RandomHue(p=0.1),
    K.ImageSequential(K.RandomGamma(), K.RandomPlanckianJitter(p=0.1)),
]
HIDDEN = {
    "alone": (Pipeline, 1),
    "sometimes": (lambda item: Pipeline([GaussianNoise(), Sometimes(item, 0.01)]), 1),
    "one of": (lambda item: Pipeline(OneOf([Brightness(), Contrast(), [GaussianNoise(), item]], (1, 1, 0.01))), 1),
    "on channels": (lambda item: Pipeline(OnChannels(Sometimes(item, 0.01), (1,))), 2),
}


@pytest.mark.parametrize("place", HIDDEN)
@pytest.mark.parametrize("item", NOT_GREY, ids=lambda item: type(item).__name__)
def test_grey_is_refused_whatever_is_drawn_and_before_it_is_drawn(item, place):
    hide, channels = HIDDEN[place]
    pipeline = hide(item)
    assert not pipeline.takes(channels)
    x = torch.rand(1, channels, 16, 16)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        before = generator.get_state()
        for images in (x, x[:, None].expand(-1, 2, -1, -1, -1)):
            with pytest.raises(ValueError, match="channel"):
                pipeline(images, generator)
            assert torch.equal(generator.get_state(), before)
            with pytest.raises(ValueError, match="channel"):
                pipeline.apply(images, pipeline.sample(1, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("item", NOT_GREY, ids=lambda item: type(item).__name__)
def test_colours_are_taken(item):
    pipeline = Pipeline([Sometimes(item, 0.5), GaussianNoise()])
    assert pipeline.takes(3)
    assert pipeline(torch.rand(4, 3, 16, 16)).shape == (4, 3, 16, 16)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_a_transform_says_it_takes_is_what_it_can_be_applied_to(channels):
    for cls in [*TRANSFORMS.values(), *DOMAINS.values()]:
        pipeline = Pipeline(cls())
        draw = pipeline.sample(2, torch.Generator().manual_seed(0))
        try:  # past the check
            pipeline.chain.apply(torch.rand(2, channels, 16, 16), pipeline.chain.values(draw.u, draw.seeds))
        except ValueError:
            assert not pipeline.takes(channels), cls
        else:
            assert pipeline.takes(channels), cls


POLICIES = {"trivial_augment", "rand_augment", "idbh_weak", "idbh_strong"}


def test_the_presets_say_which_images_they_take():
    coloured = {name for name, pipeline in PRESETS.items() if not pipeline.takes(1)}
    assert coloured == {"photometric", "sim2real", "indoor_robotics", "driving", "carben", "recolor"} | POLICIES
    assert all(pipeline.takes(3) for pipeline in PRESETS.values())


def test_the_trial_of_a_kornia_module_leaves_it_and_the_generators_as_they_were():
    module = K.RandomSaturation(p=0.5)
    state, parameters = torch.get_rng_state(), dict(module._params)
    assert not Pipeline(module).takes(1)
    assert Pipeline(K.RandomCrop((64, 64))).takes(1), "what fails for the trial's size is not refused"
    assert torch.equal(torch.get_rng_state(), state)
    assert module._params == parameters

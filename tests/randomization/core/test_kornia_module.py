"""Kornia's own augmentations as transforms."""

import kornia.augmentation as K  # noqa: N812
import pytest
import torch

from art_domainrand.randomization import Brightness, KorniaAugmentation, OneOf, Pipeline, Sometimes

MODULES = {
    "affine": lambda: K.RandomAffine(20.0, p=0.8),
    "jitter": lambda: K.ColorJitter(0.2, 0.2, 0.2, 0.1),
    "gamma": lambda: K.RandomGamma((0.5, 2.0), p=0.5),
    "noise": lambda: K.RandomGaussianNoise(std=0.1, p=1.0),
    "elastic": lambda: K.RandomElasticTransform(p=1.0),
    "erasing": lambda: K.RandomErasing(p=1.0),
    "crop": lambda: K.RandomCrop((12, 12), p=1.0),
    "jigsaw": lambda: K.RandomJigsaw((2, 2), p=1.0),
    "sequential": lambda: K.ImageSequential(K.RandomHorizontalFlip(), K.RandomGamma(), random_apply=1),
    "augmentation_sequential": lambda: K.AugmentationSequential(K.RandomRotation(30.0), K.RandomInvert()),
}


def images():
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MODULES)
def test_replay_is_exact_per_image_and_survives_other_draws(name):
    pipeline = Pipeline([MODULES[name]()])
    x, draw = images(), pipeline.sample(5, torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    changed = pipeline.apply(x, draw)
    pipeline(x)
    assert torch.equal(pipeline.apply(x, draw), changed)
    assert torch.equal(pipeline.apply(x[3:4], draw[3:4]), changed[3:4])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["affine", "gamma", "noise", "erasing"])
def test_batched_parameters_give_the_same_images_up_to_rounding(name):
    x = images()
    exact = Pipeline([KorniaAugmentation(MODULES[name]())])
    batched = Pipeline([KorniaAugmentation(MODULES[name](), batched=True)])
    draw = exact.sample(5, torch.Generator().manual_seed(2))
    torch.testing.assert_close(batched.apply(x, draw), exact.apply(x, draw), atol=1e-5, rtol=0)


def test_the_image_gradient_is_kornias():
    module = K.RandomAffine(30.0, p=1.0)
    x = images().requires_grad_()
    changed = Pipeline([module])(x)
    (gradient,) = torch.autograd.grad(changed.square().sum(), x)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_ours_and_kornias_mix_freely():
    pipeline = Pipeline([Brightness(0.1), K.RandomHorizontalFlip(p=1.0), Brightness(0.1)])
    torch.testing.assert_close(pipeline(images()), images().flip(3) + 0.2)
    gated = Pipeline([Sometimes(K.RandomInvert(p=1.0), 1.0), OneOf([K.RandomInvert(p=1.0)])])
    torch.testing.assert_close(gated(images()), images())


@pytest.mark.filterwarnings("ignore:RandomCutMixV2")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: K.RandomMixUpV2(), "must change each image on its own, got RandomMixUpV2, which mixes several images"),
        (lambda: K.RandomCutMixV2(), "RandomCutMixV2"),
        (lambda: K.RandomMosaic(), "RandomMosaic"),
        (lambda: K.AugmentationSequential(K.RandomInvert(), K.RandomMixUpV2()), "RandomMixUpV2"),
        (lambda: K.RandomRotation3D(10.0), "images"),
    ],
)
def test_modules_without_a_draw_per_image_are_refused_with_the_reason(make, message):
    with pytest.raises(ValueError, match=message):
        Pipeline([make()])


def test_a_change_of_shape_is_refused_where_only_some_images_are_changed():
    with pytest.raises(ValueError, match="must keep their shape"):
        Pipeline([Sometimes(K.RandomCrop((8, 8), p=1.0))])(images(), torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="batched needs a single augmentation"):
        KorniaAugmentation(K.ImageSequential(K.RandomInvert()), batched=True)
    with pytest.raises(ValueError, match="batched needs parameters per image, got ColorJitter, whose 'order'"):
        Pipeline([KorniaAugmentation(MODULES["jitter"](), batched=True)])(images())

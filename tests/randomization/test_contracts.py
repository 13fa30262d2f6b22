"""What every transform in the table promises; a new one is tested by its line in the table."""

import pickle
import random
from dataclasses import fields

import kornia.augmentation as K  # noqa: N812
import numpy as np
import pytest
import torch

from art_domainrand.randomization import (
    TRANSFORMS,
    Clipped,
    DepthModality,
    Draw,
    KorniaAugmentation,
    MaskModality,
    MixedChains,
    MultiModal,
    OnChannels,
    OneOf,
    Pipeline,
    RandomDepth,
    RandomOrder,
    Sometimes,
    Transform,
    Uniform,
)
from art_domainrand.randomization.core.distributions import Distribution

RGB_ONLY = {"saturation", "grayscale", "hue", "hsv_hue", "hsv_saturation", "white_balance", "rgb_shift", "recolor"}
# Modalities have three channels here, one each.
SCENES = MultiModal(
    {
        "thermal": [TRANSFORMS["gamma"](), TRANSFORMS["gaussian_noise"]()],
        "depth": DepthModality(TRANSFORMS["brightness"](), "bilinear", magnified="divided"),
        "mask": MaskModality(),
    },
    [TRANSFORMS["rotation"](), TRANSFORMS["scale"](), TRANSFORMS["elastic"]()],
).stacked({"thermal": 1, "depth": 1, "mask": 1})
# Compositions keep the same promises.
CASES: dict[str, Transform] = {name: cls() for name, cls in TRANSFORMS.items()} | {
    "sometimes": Sometimes([TRANSFORMS["rotation"](), TRANSFORMS["gamma"]()], 0.5),
    "one_of": OneOf([TRANSFORMS["gaussian_noise"](), TRANSFORMS["shear"](), TRANSFORMS["invert"]()], [1, 2, 1]),
    "one_matrix_of": OneOf([TRANSFORMS["rotation"](), TRANSFORMS["perspective"](), TRANSFORMS["flip"]()]),
    "random_order": RandomOrder([TRANSFORMS[name]() for name in ("gaussian_noise", "rotation", "brightness", "gamma")]),
    "random_depth": RandomDepth([TRANSFORMS[name]() for name in ("gaussian_noise", "rotation", "gamma")], (0, 3)),
    "mixed_chains": MixedChains(
        RandomDepth(OneOf([TRANSFORMS[name]() for name in ("gaussian_noise", "shear", "gamma", "invert")]))
    ),
    "clipped": Clipped([TRANSFORMS["brightness"](), TRANSFORMS["gaussian_noise"]()]),
    "chain": Pipeline(
        [TRANSFORMS[name]() for name in ("rotation", "flip", "contrast", "brightness", "contrast")]
    ).chain,
    "kornia": KorniaAugmentation(K.RandomAffine(15.0, p=0.7)),
    "stacked_modalities": SCENES.transforms[0],
}


def channels_of(name):
    return (3,) if name in RGB_ONLY or name == "stacked_modalities" else (1, 3, 5)


def draw_for(pipeline, n, seed=0):
    return pipeline.sample(n, torch.Generator().manual_seed(seed))


def images(*shape, seed=1, **kwargs):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **kwargs)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("threads", [1, 2])
def test_slicing_the_draw_and_slicing_the_batch_commute_bit_for_bit(name, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        pipeline = Pipeline(CASES[name])
        # Smaller batches are not split among threads: neither is any part.
        for channels in channels_of(name)[-1:] if threads > 1 else channels_of(name):
            for layout in (torch.contiguous_format, torch.channels_last):
                x = images(9, channels, 37, 23).contiguous(memory_format=layout)
                draw = draw_for(pipeline, 9)
                whole = pipeline.apply(x, draw)
                assert torch.equal(whole, pipeline.apply(x, draw)), "same draw, same bits"
                for part in (slice(4, 5), slice(2, 7), [8, 0, 3])[: None if threads == 1 else 1]:
                    assert torch.equal(pipeline.apply(x[part], draw[part]), whole[part])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", CASES)
def test_a_repeated_draw_pairs_with_a_repeated_batch(name):
    pipeline = Pipeline(CASES[name])
    x, draw = images(3, 3, 16, 20), draw_for(pipeline, 3)
    twice = pipeline.apply(x.repeat(2, 1, 1, 1), draw.repeat(2))
    assert torch.equal(twice, pipeline.apply(x, draw).repeat(2, 1, 1, 1))


@pytest.mark.parametrize("name", CASES)
def test_different_images_get_different_draws(name):
    pipeline = Pipeline(CASES[name])
    x = images(1, 3, 16, 16).expand(32, 3, 16, 16)
    changed = pipeline.apply(x, draw_for(pipeline, 32))
    assert len(torch.unique(changed.flatten(1), dim=0)) > 1


@pytest.mark.parametrize("name", CASES)
def test_no_global_generator_is_touched_and_the_input_is_left_alone(name):
    pipeline = Pipeline(CASES[name])
    x = images(4, 3, 16, 16)
    copy = x.clone()
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    pipeline(x)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert before[2] == random.getstate()
    assert torch.equal(x, copy)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["black", "white", "binary", "random", "beyond"])
def test_value_and_gradient_are_finite(name, kind):
    x = {
        "black": torch.zeros(6, 3, 12, 12),
        "white": torch.ones(6, 3, 12, 12),
        "binary": (images(6, 3, 12, 12) > 0.5).float(),
        "random": images(6, 3, 12, 12),
        "beyond": images(6, 3, 12, 12) * 3 - 1,
    }[kind]
    if name == "kornia" and kind == "beyond":
        pytest.skip("Kornia's own modules are held to [0, 1]")
    pipeline = Pipeline(CASES[name])
    draw = draw_for(pipeline, 6)
    u = draw.u.clone().requires_grad_()
    x.requires_grad_()
    changed = pipeline.apply(x, Draw(u, draw.seeds))
    assert changed.isfinite().all()
    changed.square().sum().backward()
    assert x.grad.isfinite().all()
    assert u.grad is None or u.grad.isfinite().all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_and_value_are_kept_in_other_precisions(name, dtype):
    pipeline = Pipeline(CASES[name])
    # Values that float16 and bfloat16 hold exactly.
    x = (images(4, 3, 12, 14) * 64).round() / 64
    draw = draw_for(pipeline, 4)
    changed = pipeline.apply(x.to(dtype), draw)
    assert changed.dtype == dtype
    tolerance = 1e-4 if dtype == torch.float64 else 2e-2
    torch.testing.assert_close(changed.float(), pipeline.apply(x, draw), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_channels_last_is_preserved_and_changes_no_value(name):
    pipeline = Pipeline(CASES[name])
    x, draw = images(4, 3, 12, 14), draw_for(pipeline, 4)
    changed = pipeline.apply(x.contiguous(memory_format=torch.channels_last), draw)
    assert changed.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(changed, pipeline.apply(x, draw), atol=1e-5, rtol=0)
    assert pipeline.apply(x, draw).is_contiguous()


@pytest.mark.parametrize("name", CASES)
def test_a_pickled_transform_is_the_same_transform(name):
    pipeline = Pipeline(CASES[name])
    x, draw = images(4, 3, 12, 14), draw_for(pipeline, 4)
    expected = pipeline.apply(x, draw)
    again, same_draw = pickle.loads(pickle.dumps((pipeline, draw)))
    assert list(again.parameters) == list(pipeline.parameters)
    assert torch.equal(again.apply(x, same_draw), expected)


def check_gradient(name):
    # Nearest neighbours to a kink of the sampling grid, of an edge or of a gate are avoided by this seed.
    pipeline = Pipeline(CASES[name])
    draw = draw_for(pipeline, 2, seed=5)
    x = (0.1 + 0.8 * images(2, 3, 5, 6, dtype=torch.float64)).requires_grad_()
    u = draw.u.double().requires_grad_()
    weight = images(2, 3, 5, 6, seed=3, dtype=torch.float64)

    def loss(x, u):
        return (pipeline.apply(x, Draw(u, draw.seeds)) * weight).sum()

    # Along random directions: column by column takes 400 runs.
    options = {"eps": 1e-7, "atol": 1e-4, "rtol": 1e-3, "raise_exception": False, "fast_mode": True}
    return torch.autograd.gradcheck(loss, (x, u), **options)


@pytest.mark.parametrize("name", CASES)
def test_a_transform_is_called_differentiable_if_and_only_if_finite_differences_agree(name):
    assert check_gradient(name) == CASES[name].differentiable


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_range_has_a_unit_and_only_fields_have(name):
    transform = TRANSFORMS[name]()
    ranges = {field for field, value in vars(transform).items() if isinstance(value, Distribution)}
    assert ranges <= set(transform.units) <= {field.name for field in fields(transform)}


@pytest.mark.parametrize("name", sorted(name for name, cls in TRANSFORMS.items() if not cls().differentiable))
def test_what_is_not_differentiable_says_what_its_gradient_is(name):
    assert "straight-through" in " ".join(TRANSFORMS[name].__doc__.split())


def test_a_composition_is_as_differentiable_as_its_members():
    smooth, stepped = TRANSFORMS["gamma"](), TRANSFORMS["posterize"]()
    for members, expected in (([smooth, smooth], True), ([smooth, stepped], False)):
        for whole in (
            Pipeline(members).chain,
            OneOf(members),
            Sometimes(members),
            OnChannels(members, (0,)),
            MixedChains(members),
        ):
            assert whole.differentiable is expected


@pytest.mark.parametrize("name", sorted(RGB_ONLY))
@pytest.mark.parametrize("channels", [1, 4])
def test_a_transform_of_colours_says_that_it_needs_rgb(name, channels):
    with pytest.raises(ValueError, match=f"needs RGB images with 3 channels, got {channels}"):
        Pipeline(CASES[name])(images(2, channels, 8, 8))


@pytest.mark.parametrize("name", [name for name in CASES if name != "kornia"])
def test_parameters_are_the_coordinates_of_the_draw(name):
    pipeline = Pipeline(CASES[name])
    assert draw_for(pipeline, 3).u.shape == (3, len(pipeline.parameters))
    assert all(isinstance(distribution, Distribution) for distribution in pipeline.parameters.values())


# Streaks and flakes are never thinner than a pixel, so their sizes are felt in larger images only; nor are pixels
# displaced by less than half of one.
EXTENT = {"rain": 128, "snow": 192, "diffeomorphism": 64}
LEARNABLE = [
    (name, field)
    for name, cls in TRANSFORMS.items()
    for field, value in vars(cls()).items()
    if isinstance(value, Distribution) and value.support[0] < value.support[1]
]


@pytest.mark.parametrize(("name", "field"), LEARNABLE)
def test_learned_bounds_receive_a_gradient(name, field):
    cls = TRANSFORMS[name]
    low, high = getattr(cls(), field).support
    bounds = [
        torch.tensor(value, requires_grad=True) for value in (low + 0.25 * (high - low), low + 0.75 * (high - low))
    ]
    pipeline = Pipeline(cls(**{field: Uniform(*bounds)}))
    assert pipeline.requires_grad
    extent = EXTENT.get(name, 16)
    pipeline.apply(images(4, 3, extent, extent), draw_for(pipeline, 4)).square().sum().backward()
    assert all(bound.grad.isfinite() and bound.grad != 0 for bound in bounds)


def test_empty_batches_and_tiny_images_pass():
    for name, transform in CASES.items():
        pipeline = Pipeline(transform)
        assert pipeline(torch.rand(0, 3, 8, 8)).shape == (0, 3, 8, 8)
        if not isinstance(transform, KorniaAugmentation):
            assert pipeline(torch.rand(2, 3, 1, 1)).isfinite().all(), name


def test_the_table_names_final_classes():
    made = [made for cls in TRANSFORMS.values() for made in cls.__subclasses__()]
    assert not [cls for cls in made if cls.__module__.startswith("art_domainrand")]  # tests make classes of their own

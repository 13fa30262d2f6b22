"""Named domains: what severity means, lists, channels and seeds, and the promises of every transform."""

import pickle
import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional

from art_domainrand.randomization import DOMAINS, Draw, OneOf, Pipeline, Rotation, Uniform, domain_mapping
from art_domainrand.randomization.domains import REFERENCE_METHODS
from art_domainrand.randomization.domains.parts import box

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)


def noise(*shape, seed=1, **kwargs):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **kwargs)


def photographs(size=128):
    """A pagoda before a pale sky, and an orange flower before dark leaves."""
    images = [torch.from_numpy(image.copy()).permute(2, 0, 1) for image in load_sample_images().images]
    return functional.interpolate(torch.stack(images)[..., 100:527].float() / 255, (size, size), mode="area")


@pytest.fixture(scope="module")
def photos():
    return photographs()


def luma(x):
    return (x * LUMA).sum(1)


def full(x, domain, **kwargs):
    return domain_mapping(x, domain, severity=5, seed=0, **kwargs)


# ---- Severity


@pytest.mark.parametrize("name", DOMAINS)
def test_distance_from_the_original_grows_with_severity_for_every_image(name, photos):
    for x in (photos, noise(4, 3, 32, 32)):
        distances = torch.stack(
            [(domain_mapping(x, name, s, seed=3) - x).flatten(1).norm(dim=1) for s in (1, 1.5, 2, 3, 4, 4.9, 5)]
        )
        assert (distances[0] > 0).all()
        assert (distances.diff(dim=0) > 0).all()


@pytest.mark.parametrize("name", DOMAINS)
def test_lower_severities_lie_between_the_original_and_the_full_map(name):
    x = noise(3, 3, 24, 24)
    end = full(x, name)
    for severity in (1, 3, 4):
        y = domain_mapping(x, name, severity, seed=0)
        assert (y >= torch.minimum(x, end) - 1e-6).all()
        assert (y <= torch.maximum(x, end) + 1e-6).all()


def test_grayscale_has_equal_channels_and_negative_is_one_minus_x():
    for channels in (1, 3, 4, 7):
        x = noise(2, channels, 16, 16)
        assert torch.equal(full(x, "negative"), 1 - x)
        y = full(x, "grayscale")
        assert torch.equal(y, y[:, :1].expand_as(y))
    torch.testing.assert_close(full(noise(2, 3, 8, 8), "grayscale")[:, 0], luma(noise(2, 3, 8, 8)))


def test_severity_may_be_drawn_for_each_image():
    x = noise(1, 3, 8, 8).expand(64, 3, 8, 8)
    share = (domain_mapping(x, "negative", (2, 4), seed=0) - x).flatten(1).norm(dim=1) / (1 - 2 * x[0]).norm()
    assert 0.4 <= share.min() < 0.45
    assert 0.75 < share.max() <= 0.8


# ---- Several domains, channels, arrays, seeds


def test_a_list_of_domains_draws_one_for_each_image():
    x = noise(1, 3, 12, 12).expand(60, 3, 12, 12)
    y = full(x, ["negative", "grayscale"])
    negative, grey = full(x[:1], "negative"), full(x[:1], "grayscale")
    is_negative = (y == negative).flatten(1).all(1)
    is_grey = (y == grey).flatten(1).all(1)
    assert (is_negative ^ is_grey).all()
    assert 10 < is_negative.sum() < 50


def test_colour_acts_on_the_named_channels_of_paired_modalities():
    x = noise(3, 4, 20, 20)
    for name in DOMAINS:
        y = domain_mapping(x, name, 5, seed=1, channels=(0, 1, 2))
        assert torch.equal(y[:, 3], x[:, 3])
        torch.testing.assert_close(y[:, :3], domain_mapping(x[:, :3], name, 5, seed=1))
    torch.testing.assert_close(
        domain_mapping(x, "sepia", 5, channels=(3, 1, 0))[:, [3, 1, 0]],
        domain_mapping(x[:, [3, 1, 0]], "sepia", 5),
    )


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("channels", [1, 2, 4, 8])
def test_every_domain_takes_any_number_of_channels(name, channels):
    x = noise(2, channels, 20, 17)
    y = full(x, name)
    assert y.shape == x.shape
    assert y.isfinite().all()
    if (name, channels) != ("grayscale", 1):
        assert not torch.equal(y, x)


def test_arrays_give_arrays_and_the_same_numbers():
    x = noise(3, 3, 16, 16)
    for dtype in (np.float32, np.float64):
        y = domain_mapping(x.numpy().astype(dtype), ["rain", "night"], seed=5)
        assert isinstance(y, np.ndarray)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, domain_mapping(x, ["rain", "night"], seed=5).numpy(), atol=1e-4)


def test_a_seed_repeats_and_none_is_fresh_and_global_generators_are_left_alone():
    x = noise(4, 3, 16, 16)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    copy = x.clone()
    for name in [*DOMAINS, list(DOMAINS)]:
        assert torch.equal(domain_mapping(x, name, seed=5), domain_mapping(x, name, seed=5))
    assert not torch.equal(domain_mapping(x, "snow"), domain_mapping(x, "snow"))
    assert not torch.equal(domain_mapping(x, "snow", seed=1), domain_mapping(x, "snow", seed=2))
    assert torch.equal(x, copy)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert before[2] == random.getstate()


def test_the_gradient_passes_the_clipping():
    x = torch.ones(1, 3, 4, 4, requires_grad=True)
    y = domain_mapping(x, "overexposed", 5)
    assert (y == 1).all()
    y.sum().backward()
    assert (x.grad >= 2).all()


# ---- The promises of every transform


@pytest.mark.parametrize("name", DOMAINS)
def test_slicing_commutes_bit_for_bit_and_layout_is_kept(name):
    pipeline = Pipeline(DOMAINS[name]())
    for channels in (1, 3, 5):
        for layout in (torch.contiguous_format, torch.channels_last):
            x = noise(7, channels, 37, 23).contiguous(memory_format=layout)
            draw = pipeline.sample(7, torch.Generator().manual_seed(0))
            whole = pipeline.apply(x, draw)
            assert whole.is_contiguous(memory_format=layout)
            assert torch.equal(whole, pipeline.apply(x, draw))
            for part in (slice(0, 1), slice(2, 6), [6, 0, 3]):
                assert torch.equal(pipeline.apply(x[part], draw[part]), whole[part])


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("kind", ["black", "white", "binary", "beyond"])
def test_value_and_gradient_are_finite(name, kind):
    x = {
        "black": torch.zeros(4, 3, 12, 12),
        "white": torch.ones(4, 3, 12, 12),
        "binary": (noise(4, 3, 12, 12) > 0.5).float(),
        "beyond": noise(4, 3, 12, 12) * 3 - 1,
    }[kind].requires_grad_()
    pipeline = Pipeline(DOMAINS[name]())
    draw = pipeline.sample(4, torch.Generator().manual_seed(0))
    u = draw.u.clone().requires_grad_()
    y = pipeline.apply(x, Draw(u, draw.seeds))
    y.square().sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert u.grad.isfinite().all()


@pytest.mark.parametrize("name", DOMAINS)
def test_gradients_agree_with_finite_differences(name):
    pipeline = Pipeline(DOMAINS[name]())
    draw = pipeline.sample(2, torch.Generator().manual_seed(0))
    x = (0.1 + 0.8 * noise(2, 3, 5, 6, dtype=torch.float64)).requires_grad_()
    u = draw.u.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, u: pipeline.apply(x, Draw(u, draw.seeds)), (x, u), eps=1e-7, atol=1e-4, rtol=1e-3
    )


def test_domains_fit_into_pipelines_and_are_pickled_with_them():
    pipeline = Pipeline([Rotation(), OneOf([DOMAINS["fog"](severity=Uniform(1, 3)), DOMAINS["night"]()])])
    x, draw = noise(4, 3, 16, 16), pipeline.sample(4)
    assert torch.equal(pickle.loads(pickle.dumps(pipeline)).apply(x, draw), pipeline.apply(x, draw))


def test_empty_batches_and_single_pixels_pass():
    for name in DOMAINS:
        assert domain_mapping(torch.zeros(0, 3, 8, 8), name).shape == (0, 3, 8, 8)
        assert domain_mapping(torch.full((2, 3, 1, 1), 0.5), name, 5).isfinite().all()


def test_a_box_mean_is_the_average_of_what_lies_inside_the_image():
    x = noise(2, 3, 11, 9, dtype=torch.float64)
    for radius in (0, 1, 4, 5, 30):
        pooled = functional.avg_pool2d(x, 2 * radius + 1, 1, 0) if radius == 0 else None
        expected = pooled if radius == 0 else torch.empty_like(x)
        if radius:
            for row in range(11):
                for column in range(9):
                    window = x[
                        ..., max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1
                    ]
                    expected[..., row, column] = window.mean((2, 3))
        torch.testing.assert_close(box(x, radius), expected)


# ---- Bad input


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"domain": "nigt"}, "domain must be a Domain or one of .*'night'.*, got 'nigt'"),
        ({"domain": 3}, "domain must be a Domain or one of .*, got 3"),
        ({"domain": ["night", None]}, "domain must be a Domain or one of .*, got None"),
        ({"domain": []}, "domain must not be an empty list"),
        ({"severity": 7}, "severity must be a number from 1 to 5, got 7"),
        ({"severity": 0}, "severity must be a number from 1 to 5, got 0"),
        ({"severity": True}, "severity must be a number"),
        ({"severity": float("nan")}, "severity must be finite"),
        ({"severity": (0, 3)}, "severity must be a number from 1 to 5, got values from 0 to 3"),
        ({"seed": -1}, "seed must be None or an int >= 0, got -1"),
        ({"x": torch.rand(3, 8, 8)}, r"x must be a \(B, C, H, W\) tensor or array, got shape \(3, 8, 8\)"),
        ({"x": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "x must be floating .* got torch.uint8"),
        ({"x": torch.full((1, 3, 8, 8), 255.0)}, r"x must lie within \[0, 1\], got values from 255 to 255"),
        ({"x": torch.full((1, 3, 8, 8), float("nan"))}, r"x must lie within \[0, 1\]"),
        ({"channels": (0, 3)}, "channels must be below 3"),
        ({"channels": (0, 0)}, "channels must be distinct"),
        ({"channels": ()}, "channels must be distinct and at least one"),
        ({"channels": (-1,)}, "channels must be ints >= 0"),
        ({"references": torch.rand(1, 3, 8, 8)}, "references must be None"),
        ({"domain": "histogram"}, "references must be given for the domain Histogram, got None"),
    ],
)
def test_bad_input_is_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        domain_mapping(**({"x": torch.rand(2, 3, 8, 8), "domain": "night"} | kwargs))


def test_the_tables_hold_final_classes_and_no_name_twice():
    assert not set(DOMAINS) & set(REFERENCE_METHODS)
    assert len(set(DOMAINS.values())) == len(DOMAINS)
    assert not any(cls.__subclasses__() for cls in [*DOMAINS.values(), *REFERENCE_METHODS.values()])

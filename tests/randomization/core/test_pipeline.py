"""Draws, pipelines, gates and choices."""

import numpy as np
import pytest
import torch

from art_domainrand.randomization import (
    Brightness,
    Contrast,
    Draw,
    Flip,
    GaussianNoise,
    Invert,
    OneOf,
    Perspective,
    Pipeline,
    Rotation,
    Shear,
    Sometimes,
    random_transform,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_sampling_is_reproducible_uniform_and_inside_the_open_cube():
    pipeline = Pipeline([Rotation(), Brightness()])
    draw = pipeline.sample(20000, seeded())
    assert torch.equal(draw.u, pipeline.sample(20000, seeded()).u)
    assert draw.u.min() > 0
    assert draw.u.max() < 1
    assert (1 - (1 - draw.u) == draw.u).all(), "1 - u is exact: antithetic draws mirror bit for bit"
    torch.testing.assert_close(draw.u.mean(0), torch.full((2,), 0.5), atol=0.01, rtol=0)
    assert not torch.equal(pipeline.sample(4).u, pipeline.sample(4).u)
    assert len(set(draw.seeds.tolist())) == 20000


def test_draws_are_indexed_like_the_batch():
    draw = Pipeline([Rotation(), Brightness()]).sample(6, seeded())
    assert len(draw) == 6
    for index in (slice(1, 4), [5, 0], np.array([2, 2]), torch.tensor([True, False] * 3)):
        part = draw[index]
        expected = torch.as_tensor(index) if not isinstance(index, slice) else index
        assert torch.equal(part.u, draw.u[expected])
        assert torch.equal(part.seeds, draw.seeds[expected])
    assert torch.equal(draw[-1].u, draw.u[5:])
    assert len(draw[[]]) == 0
    with pytest.raises(IndexError):
        draw[6]


def test_names_of_parameters_tell_where_they_are():
    choice = OneOf([Contrast(), Invert()])
    pipeline = Pipeline([Rotation(), Pipeline([Brightness()]), Sometimes([Shear(), Flip()]), choice])
    assert list(pipeline.parameters) == [
        "0.angle",
        "1.shift",
        "2.gate",
        "2.0.0.x",
        "2.0.0.y",
        "2.0.1.horizontal",
        "2.0.1.vertical",
        "3.selector",
        "3.0.factor",
        "3.1.amount",
    ]
    assert len(pipeline) == 4


def test_sometimes_changes_its_share_of_the_images_and_leaves_the_rest_bit_for_bit():
    x = torch.rand(1, 3, 8, 8).expand(2000, 3, 8, 8)
    changed = Pipeline(Sometimes(Brightness(0.5), 0.3))(x, seeded())
    moved = (changed != x).flatten(1).any(1)
    assert moved.double().mean().item() == pytest.approx(0.3, abs=0.04)
    torch.testing.assert_close(changed[moved], x[moved] + 0.5)
    assert torch.equal(Pipeline(Sometimes(Rotation(40), 0.0))(x[:4]), x[:4])
    assert torch.equal(Pipeline(Sometimes(Flip(1.0), 1.0))(x[:4]), x[:4].flip(3))


def test_a_gate_inside_a_fused_run_is_a_gate():
    pipeline = Pipeline([Sometimes(Brightness(0.5), 0.5), Contrast(1.0)])
    assert len(pipeline.chain.stages) == 1
    x = torch.rand(64, 3, 8, 8)
    draw = pipeline.sample(64, seeded())
    expected = x + 0.5 * (draw.u[:, 0] < 0.5).float().view(-1, 1, 1, 1)
    torch.testing.assert_close(pipeline.apply(x, draw), expected, atol=1e-6, rtol=0)
    geometry = Pipeline([Rotation(), Sometimes([Shear(), Perspective()]), OneOf([Rotation(), Flip()])])
    assert len(geometry.chain.stages) == 1


@pytest.mark.parametrize("second", [Invert(1.0), [Invert(1.0), GaussianNoise(0.0)]])
def test_one_of_applies_each_member_to_its_share(second):
    x = torch.rand(3000, 1, 2, 2, generator=seeded())
    changed = Pipeline(OneOf([Brightness(0.25), second], weights=[1, 3]))(x, seeded())
    brighter = torch.isclose(changed, x + 0.25, atol=1e-6).flatten(1).all(1)
    inverted = torch.isclose(changed, 1 - x, atol=1e-6).flatten(1).all(1)
    assert (brighter | inverted).all()
    assert brighter.double().mean().item() == pytest.approx(0.25, abs=0.03)


def test_a_choice_between_a_contrast_and_another_matrix_is_one_matrix():
    choice = OneOf([Contrast(0.0), Brightness(0.5)])
    assert len(Pipeline([choice, Invert(1.0)]).chain.stages) == 1
    x = torch.rand(50, 1, 6, 6)
    changed = Pipeline([choice, Invert(1.0)])(x)
    flat = torch.isclose(changed, 1 - x.mean((2, 3), keepdim=True), atol=1e-5).flatten(1).all(1)
    shifted = torch.isclose(changed, 0.5 - x, atol=1e-5).flatten(1).all(1)
    assert (flat ^ shifted).all()
    assert flat.any()
    assert shifted.any()


def test_pipelines_and_lists_nest_flat():
    assert Pipeline([Rotation(), [Shear(), Pipeline([Flip()])]]) == Pipeline([Rotation(), Shear(), Flip()])
    assert Pipeline(Rotation()).transforms == (Rotation(),)


def test_autocast_does_not_lower_the_precision():
    pipeline = Pipeline([Rotation(), Contrast(), GaussianNoise()])
    x, draw = torch.rand(3, 3, 16, 16), pipeline.sample(3, seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = pipeline.apply(x, draw)
    assert torch.equal(inside, pipeline.apply(x, draw))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p, x: Pipeline([]), ValueError, "a pipeline must have at least one transform, got none"),
        (lambda p, x: Pipeline([[]]), ValueError, "a pipeline must have at least one transform"),
        (lambda p, x: Pipeline(["rotation"]), TypeError, "a pipeline takes transforms.*got 'rotation'"),
        (lambda p, x: Pipeline([torch.nn.ReLU()]), TypeError, "module must be a kornia.augmentation module, got ReLU"),
        (lambda p, x: OneOf([]), ValueError, "transforms must not be empty"),
        (lambda p, x: OneOf([Flip()], [0]), ValueError, "weights must be"),
        (lambda p, x: Sometimes(Flip(), 1.5), ValueError, r"p must be in \[0, 1\], got 1.5"),
        (lambda p, x: Sometimes(Flip(), "0.5"), ValueError, r"p must be in \[0, 1\], got '0.5'"),
        (lambda p, x: p.sample(-1), ValueError, "n must be an int >= 0, got -1"),
        (lambda p, x: p(x[0]), ValueError, r"x must be a \(B, C, H, W\) tensor or a video .*got shape \(3, 8, 8\)"),
        (lambda p, x: p((x * 255).byte()), ValueError, "x must be floating.*got torch.uint8"),
        (lambda p, x: p.apply(x, p.sample(3)), ValueError, "draw must be for 2 images, as many as x has, got 3"),
        (
            lambda p, x: p.apply(x, Pipeline(Perspective()).sample(2)),
            ValueError,
            "draw must have 1 coordinates per image, got 8",
        ),
        (lambda p, x: Draw(torch.rand(3), torch.zeros(3).long()), ValueError, "u must be a floating"),
        (lambda p, x: Draw(torch.rand(3, 1), torch.zeros(2).long()), ValueError, "seeds must be int64"),
    ],
)
def test_bad_input_names_the_rule_and_the_value(call, error, message):
    with pytest.raises(error, match=message):
        call(Pipeline(Rotation()), torch.rand(2, 3, 8, 8))


def test_a_draw_is_kept_by_torch_save(tmp_path):
    pipeline = Pipeline([Rotation(), GaussianNoise()])
    draw = pipeline.sample(3)
    torch.save(draw, tmp_path / "draw.pt")
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(pipeline.apply(x, torch.load(tmp_path / "draw.pt")), pipeline.apply(x, draw))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pipeline(None), "a pipeline must be made of a transform or a list of transforms, got None"),
        (lambda: Pipeline([Rotation()]).sample(4, 0), "generator must be None or a torch.Generator, got 0"),
        (lambda: random_transform(torch.rand(1, 1, 8, 8), angle=(-5, 5)), r"angle must be a number, .* got \(-5, 5\)"),
    ],
)
def test_arguments_of_the_wrong_kind(build, message):
    with pytest.raises(TypeError, match=message):
        build()

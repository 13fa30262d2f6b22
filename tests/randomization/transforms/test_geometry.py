"""Geometry against Kornia's functional operations on the same matrix, and against exact permutations of pixels."""

from dataclasses import fields

import kornia.geometry.transform as KT  # noqa: N812
import pytest
import torch

from art_domainrand.randomization import (
    Crop,
    Flip,
    Frame,
    Perspective,
    Pipeline,
    Rotation,
    Scale,
    Shear,
    Translation,
    Uniform,
    random_transform,
)
from art_domainrand.randomization.numerics.matrices import inverse3x3, multiply, sum_of_outer_products
from art_domainrand.randomization.numerics.warp import corner_matrix

H, W = 21, 30
GENERATOR = torch.Generator()


def images(batch=4, channels=3, height=H, width=W, dtype=torch.float32):
    return torch.rand(batch, channels, height, width, generator=GENERATOR.manual_seed(0), dtype=dtype)


def names_of(transform):
    return [field.name for field in fields(transform)]


def pixel_matrix(transform, draw):
    values = transform.values(draw.u, draw.seeds)
    return corner_matrix(transform.matrix(values, Frame(3, H, W)), H, W)


def kornia_matrix(transform, values):
    """The matrix Kornia builds from the same values, in its own functions."""
    count = 4
    centre = torch.tensor([[(W - 1) / 2, (H - 1) / 2]]).repeat(count, 1)
    none, one = torch.zeros(count), torch.ones(count, 2)
    if isinstance(transform, Rotation):
        return KT.get_affine_matrix2d(torch.zeros(count, 2), centre, one, -values["angle"])
    if isinstance(transform, Scale):
        scale = torch.stack((values["factor"], values.get("vertical", values["factor"])), 1)
        return KT.get_affine_matrix2d(torch.zeros(count, 2), centre, scale, none)
    if isinstance(transform, Shear):
        return KT.get_shear_matrix2d(centre, torch.deg2rad(values["x"]), torch.deg2rad(values["y"]))
    if isinstance(transform, Translation):
        shift = torch.stack((values["x"] * W, values["y"] * H), 1)
        return KT.get_affine_matrix2d(shift, centre, one, none)
    corners = torch.tensor([[0.0, 0.0], [W - 1, 0.0], [W - 1, H - 1], [0.0, H - 1]]).repeat(count, 1, 1)
    if isinstance(transform, Crop):
        width = torch.sqrt(values["area"] * values["ratio"]).clamp(max=1)[:, None]
        height = torch.sqrt(values["area"] / values["ratio"]).clamp(max=1)[:, None]
        left = values["x"][:, None] * (1 - width) * (W - 1)
        top = values["y"][:, None] * (1 - height) * (H - 1)
        box = torch.stack((left + width * corners[..., 0], top + height * corners[..., 1]), 2)
        return KT.get_perspective_transform(box, corners)
    inward = torch.stack([values[name] for name in transform.parameters], 1).view(count, 4, 2)
    moved = corners + inward * torch.tensor([(W - 1) / 2, (H - 1) / 2]) * (1 - 2 * (corners > 0).float())
    return KT.get_perspective_transform(corners, moved)


TRANSFORMS = [
    Rotation((-180, 180)),
    Scale((0.6, 1.7)),
    Scale((0.6, 1.7), vertical=(0.5, 2.0)),
    Shear((-30, 30), (-20, 20)),
    Translation((-0.4, 0.4), (-0.4, 0.4)),
    Crop((0.3, 1.0), (0.5, 2.0)),
    Perspective((0.0, 0.5)),
]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_agrees_with_kornia_on_the_same_matrix(transform, mode, padding):
    options = {name: getattr(transform, name) for name in names_of(transform)}
    transform = type(transform)(**options | {"mode": mode, "padding": padding})
    pipeline = Pipeline(transform)
    draw = pipeline.sample(4, GENERATOR.manual_seed(3))
    matrix = kornia_matrix(transform, transform.values(draw.u, draw.seeds))
    ours = pixel_matrix(transform, draw)
    torch.testing.assert_close(ours / ours[:, 2:, 2:], matrix, atol=2e-4, rtol=1e-4)
    x = images(dtype=torch.float64)
    wide = type(draw)(draw.u.double(), draw.seeds)
    expected = KT.warp_perspective(
        x, pixel_matrix(transform, wide), (H, W), mode=mode, padding_mode=padding, align_corners=True
    )
    torch.testing.assert_close(pipeline.apply(x, wide), expected, atol=1e-9, rtol=0)
    if mode == "bilinear":
        single = pipeline.apply(x.float(), draw)
        assert (single - expected).abs().flatten().quantile(0.98) < 1e-5  # a border pixel may be in or out by rounding


@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2), (270, 3), (-90, 3), (360, 0)])
def test_right_angles_are_rot90(angle, turns):
    x = images(height=24, width=24)
    turned = Pipeline(Rotation(angle, padding="border"))(x)
    torch.testing.assert_close(turned, torch.rot90(x, turns, (2, 3)), atol=2e-5, rtol=0)


def test_flip_is_exact_alone_and_in_a_fused_run():
    x = images()
    assert torch.equal(Pipeline(Flip(1.0, 0.0))(x), x.flip(3))
    assert torch.equal(Pipeline(Flip(0.0, 1.0))(x), x.flip(2))
    assert torch.equal(Pipeline(Flip(0.0, 0.0))(x), x)
    fused = Pipeline([Flip(1.0, 1.0), Rotation(0.0, padding="border")])
    assert len(fused.chain.stages) == 1
    torch.testing.assert_close(fused(x), x.flip(2, 3), atol=1e-5, rtol=0)


def test_a_translation_by_whole_pixels_shifts():
    x = images()
    moved = Pipeline(Translation(6 / W, -4 / H))(x)
    expected = torch.zeros_like(x)
    expected[:, :, : H - 4, 6:] = x[:, :, 4:, : W - 6]
    torch.testing.assert_close(moved[:, :, : H - 5, 7:], expected[:, :, : H - 5, 7:], atol=1e-5, rtol=0)
    assert moved[:, :, :, :5].abs().max() == 0


def test_crop_of_the_top_left_quarter_keeps_its_corners():
    x = images(height=21, width=41)
    cropped = Pipeline(Crop(0.25, 1.0, 0.0, 0.0, padding="border"))(x)
    torch.testing.assert_close(cropped[:, :, ::2, ::2], x[:, :, :11, :21], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "transform", [Rotation(0), Scale(1), Shear(0, 0), Translation(0, 0), Crop(1, 1), Perspective(0)]
)
def test_zero_strength_is_the_identity(transform):
    x = images()
    options = {name: getattr(transform, name) for name in names_of(transform)} | {"padding": "border"}
    torch.testing.assert_close(Pipeline(type(transform)(**options))(x), x, atol=1e-5, rtol=0)


def smooth(height=64, width=80):
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 3, width), indexing="ij")
    return (0.5 + 0.25 * torch.sin(x) + 0.25 * torch.cos(1.3 * y)).expand(3, 3, height, width)


def test_a_fused_run_is_the_sequence_of_its_members():
    border = {"padding": "border"}
    members = [
        Rotation(7, **border),
        Scale(1.1, **border),
        Shear(5, 3, **border),
        Perspective(0.1, **border),
        Translation(0.05, -0.03, **border),
    ]
    fused = Pipeline(members)
    assert [len(stage) for stage in fused.chain.stages] == [5]
    x = smooth()
    one_by_one = x
    for member in members:
        one_by_one = Pipeline(member)(one_by_one)
    torch.testing.assert_close(fused(x)[:, :, 16:-16, 16:-16], one_by_one[:, :, 16:-16, 16:-16], atol=1e-3, rtol=0)


def test_neighbours_that_sample_differently_do_not_fuse():
    assert len(Pipeline([Rotation(padding="zeros"), Rotation(padding="border")]).chain.stages) == 2
    assert len(Pipeline([Rotation(mode="nearest"), Flip(), Shear()]).chain.stages) == 2
    assert len(Pipeline([Rotation(), Flip(), Shear()]).chain.stages) == 1


def test_inverse_and_product_of_small_matrices():
    matrix = torch.eye(3, dtype=torch.float64) + 0.3 * torch.rand(6, 3, 3, generator=GENERATOR, dtype=torch.float64)
    torch.testing.assert_close(inverse3x3(matrix), torch.linalg.inv(matrix))
    torch.testing.assert_close(sum_of_outer_products(matrix, matrix), multiply(matrix, matrix))


def test_the_plain_function_warps_within_its_ranges():
    x = images()
    same = random_transform(x, 0, 0, 0, 0, padding="border")
    torch.testing.assert_close(same, x, atol=1e-5, rtol=0)
    changed = random_transform(x, generator=GENERATOR.manual_seed(1))
    assert torch.equal(changed, random_transform(x, generator=GENERATOR.manual_seed(1)))
    assert not torch.equal(changed, random_transform(x, generator=GENERATOR.manual_seed(2)))
    x.requires_grad_()
    random_transform(x, padding="reflection", mode="bicubic").sum().backward()
    assert x.grad.abs().sum() > 0
    tilt, shift = Uniform(-10, 10), Uniform(-0.1, 0.1)
    expected = Pipeline([Rotation((-15, 15)), Scale((0.9, 1.1)), Shear(tilt, tilt), Translation(shift, shift)])
    assert torch.allclose(changed, expected(x.detach(), GENERATOR.manual_seed(1)), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: random_transform(x, angle=-1), "angle must be finite and >= 0, got -1"),
        (lambda x: random_transform(x, scale=1), "scale must be in"),
        (lambda x: random_transform(x, shear=90), "shear must be in"),
        (lambda x: random_transform(x, padding="wrap"), "padding must be one of"),
        (lambda x: random_transform(x, mode="cubic"), "mode must be one of"),
        (lambda x: random_transform(x[0]), "x must be a"),
        (lambda x: Flip(1.2), "horizontal must be in"),
        (lambda x: Perspective((0, 0.9)), "distortion must be >= 0 and <= 0.66, got values from 0 to 0.9"),
        (lambda x: Shear(90), "x must be >= -89 and <= 89, got values from 90 to 90"),
        (lambda x: Crop(1.5), "area must be"),
    ],
)
def test_bad_arguments_name_the_rule_and_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call(images())

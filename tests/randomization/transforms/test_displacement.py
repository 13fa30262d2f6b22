"""Displacement fields against scipy's splines, Kornia's lens and thin plate, and closed forms; GridShuffle."""

import itertools

import kornia.geometry.transform as KT  # noqa: N812
import numpy as np
import pytest
import torch
from kornia.geometry.calibration import undistort_image
from scipy.interpolate import BSpline, RBFInterpolator
from torch.nn import functional

from art_domainrand.randomization import (
    Brightness,
    Draw,
    Elastic,
    Flip,
    Frame,
    GridShuffle,
    LensDistortion,
    OneOf,
    Perspective,
    Pipeline,
    RollingShutter,
    Rotation,
    Scale,
    Sometimes,
    ThinPlate,
    Translation,
)
from art_domainrand.randomization.numerics.positions import Carrying, Coords, pixel_lattice
from art_domainrand.randomization.transforms.displacement import _HOLDS, _plate

H, W = 21, 30
FRAME = Frame(3, H, W)
FIELDS = [Elastic(), ThinPlate(), LensDistortion(), RollingShutter()]
STILL = [Elastic(0.0), ThinPlate(0.0), LensDistortion(0.0), RollingShutter(0.0, 0.0, 0.0)]


def name_of(transform):
    return type(transform).__name__


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(batch=4, dtype=torch.float64, height=H, width=W):
    return torch.rand(batch, 3, height, width, generator=seeded(), dtype=dtype)


def drawn(transform, batch=4, seed=0):
    """A pipeline of ``transform``, a float64 draw, and the values."""
    pipeline = Pipeline(transform)
    draw = pipeline.sample(batch, seeded(seed))
    draw = Draw(draw.u.double(), draw.seeds)
    return pipeline, draw, pipeline.chain.values(draw.u, draw.seeds)


def read(x, right, down):
    """``x`` where each pixel reads at its own place plus a displacement (B, H, W)."""
    rows, columns = torch.meshgrid(torch.arange(H).double(), torch.arange(W).double(), indexing="ij")
    grid = torch.stack((2 * (columns + right) / (W - 1) - 1, 2 * (rows + down) / (H - 1) - 1), dim=-1)
    return functional.grid_sample(x, grid, align_corners=True)


@pytest.mark.parametrize("transform", STILL, ids=name_of)
def test_a_field_of_zero_strength_is_the_identity(transform):
    x = images()
    torch.testing.assert_close(Pipeline(transform)(x), x, atol=1e-12, rtol=0)


@pytest.mark.parametrize("transform", FIELDS, ids=name_of)
def test_a_field_moves_the_image(transform):
    x = images()
    assert (Pipeline(transform)(x, seeded()) - x).abs().mean((1, 2, 3)).min() > 0.01


def test_elastic_is_the_cubic_b_spline_of_its_control_points():
    cells, strength = 4, 0.4
    pipeline, _, values = drawn(Elastic(strength, cells=cells), batch=1)
    field = pipeline.transforms[0].field(values["0"], FRAME)[0].numpy()
    # The field is linear in 7 x 7 control points: fit them, in scipy's basis, and see that nothing is left.
    knots = np.arange(-3, cells + 4)
    across, down = (
        np.nan_to_num(BSpline.design_matrix(np.linspace(0, cells - 1e-12, size), knots, 3).toarray()) for size in (W, H)
    )
    for plane, size in ((field[0], W), (field[1], H)):
        controls = np.linalg.pinv(down) @ plane @ np.linalg.pinv(across).T
        np.testing.assert_allclose(down @ controls @ across.T, plane, atol=1e-9)
        reach = strength * (size - 1) / cells
        assert np.abs(controls).max() <= reach * (1 + 1e-6)
        assert np.abs(controls).max() > 0.8 * reach
        assert controls.min() < 0 < controls.max()


def test_elastic_agrees_with_kornia_given_the_same_displacement():
    pipeline, draw, values = drawn(Elastic(0.4))
    field = pipeline.transforms[0].field(values["0"], FRAME)
    noise = field * torch.tensor([2 / (W - 1), 2 / (H - 1)], dtype=torch.float64).view(2, 1, 1)
    expected = KT.elastic_transform2d(images(), noise, (1, 1), (1.0, 1.0), (1.0, 1.0), align_corners=True)
    torch.testing.assert_close(pipeline.apply(images(), draw), expected, atol=1e-9, rtol=0)


def test_elastic_off_the_lattice_is_its_field_between_the_pixels():
    pipeline, _, values = drawn(Elastic(0.4))
    lattice = pixel_lattice(H, W, torch.float64, torch.device("cpu"))
    at = Coords(lattice.x.expand(4, H, W), lattice.y.expand(4, H, W))
    elastic = pipeline.transforms[0]
    for on, off in zip(
        elastic.displacement(lattice, values["0"], FRAME), elastic.displacement(at, values["0"], FRAME), strict=True
    ):
        torch.testing.assert_close(off, on, atol=1e-12, rtol=0)


def test_thin_plate_is_scipys_interpolant_and_kornia_draws_the_same_image():
    pipeline, draw, values = drawn(ThinPlate())
    shifts = torch.stack([values["0"][name] for name in pipeline.transforms[0].parameters], 1).view(-1, 9, 2)
    holds = np.array(_HOLDS)
    x, y = np.meshgrid(np.linspace(-1, 1, W), np.linspace(-1, 1, H))
    places = np.stack((x, y), 2).reshape(-1, 2)
    bent = torch.from_numpy(
        np.stack([RBFInterpolator(holds, shift, kernel="thin_plate_spline")(places) for shift in shifts.numpy()])
    ).view(4, H, W, 2)
    expected = read(images(), bent[..., 0] * (W - 1) / 2, bent[..., 1] * (H - 1) / 2)
    torch.testing.assert_close(pipeline.apply(images(), draw), expected, atol=1e-9, rtol=0)
    # Kornia's solver centres its kernels on the second set of points, so it is given ours: its kernel is half of ours.
    coefficients = shifts.transpose(1, 2) @ torch.tensor(_plate(), dtype=torch.float64)
    affine = coefficients[:, :, 9:].transpose(1, 2) + torch.eye(3, dtype=torch.float64)[:, 1:]
    centres = torch.from_numpy(holds).expand(4, 9, 2)
    kernel = 2 * coefficients[:, :, :9].transpose(1, 2)
    theirs = KT.warp_image_tps(images(), centres, kernel, affine, align_corners=True)
    torch.testing.assert_close(theirs, expected, atol=1e-8, rtol=0)


def test_a_thin_plate_cannot_fold_within_its_limit():
    # All corners of the cube of displacements, which hold the least determinant: it is linear in every coordinate.
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=9)))
    table, holds = np.array(_plate()), np.array(_HOLDS)
    least = np.inf
    for x, y in itertools.product(np.linspace(-1, 1, 21), repeat=2):
        away = np.array([x, y]) - holds
        squared = (away**2).sum(1)
        slope = np.where(squared > 0, 2 * (np.log(np.where(squared > 0, squared, 1)) + 1), 0)
        along_x, along_y = (
            0.2 * signs @ (table @ np.concatenate((slope * away[:, k], np.eye(3)[1 + k]))) for k in (0, 1)
        )
        determinant = (1 + along_x)[:, None] * (1 + along_y)[None] - along_y[:, None] * along_x[None]
        least = min(least, determinant.min())
    assert least > 0
    with pytest.raises(ValueError, match=r"distortion must be >= -0\.2 and <= 0\.2"):
        ThinPlate((-0.21, 0.2))


@pytest.mark.parametrize("k1", [0.4, -0.25])
def test_lens_distortion_agrees_with_kornias_calibration(k1):
    pipeline, draw, _ = drawn(LensDistortion(k1, 0.03))
    half_diagonal = np.hypot(W - 1, H - 1) / 2
    camera = torch.tensor(
        [[half_diagonal, 0, (W - 1) / 2], [0, half_diagonal, (H - 1) / 2], [0, 0, 1]], dtype=torch.float64
    )
    coefficients = torch.tensor([k1, 0.03, 0.0, 0.0], dtype=torch.float64)
    expected = undistort_image(images(), camera.expand(4, 3, 3), coefficients.expand(4, 4))
    torch.testing.assert_close(pipeline.apply(images(), draw), expected, atol=1e-9, rtol=0)


def test_the_lens_is_smooth_and_one_to_one_beyond_the_image():
    pipeline, _, values = drawn(LensDistortion(-0.3, 0.0), batch=1)
    radius = torch.linspace(0.01, 3, 3000, dtype=torch.float64) * np.hypot(W - 1, H - 1) / 2
    at = Coords(radius[None, None], torch.zeros(1, 1, 1, dtype=torch.float64))
    read_at = pipeline.chain.carry(at, values, FRAME, Carrying(backward=True)).x.flatten()
    slope = read_at.diff() / radius.diff()
    assert (slope > 0).all()
    assert slope.diff().abs().max() < 0.01
    torch.testing.assert_close(slope[-1], torch.tensor(1 - 3 * 0.3).double(), atol=1e-6, rtol=0)


def test_a_lens_off_centre_bends_about_its_own_centre():
    # The image's centre is a pixel, the lens's is 5 pixels to its right and 3 above it.
    lens = LensDistortion(0.4, 0.0, 5 / 31, -3 / 21)
    lattice = pixel_lattice(21, 31, torch.float64, torch.device("cpu"))
    right, down = lens.displacement(lattice, drawn(lens, batch=1)[2]["0"], Frame(1, 21, 31))
    length = (right.square() + down.square())[0]
    assert divmod(length.argmin().item(), 31) == (10 - 3, 15 + 5)


def test_a_rolling_shutter_pans_shears_and_shakes_row_by_row():
    shake = RollingShutter(x=0.2, y=0.1, wobble=0.05, frequency=2.0, phase=0.25)
    pipeline, draw, _ = drawn(shake)
    time = (torch.arange(H).double() - (H - 1) / 2) / H
    right = W * (0.2 * time + 0.05 * torch.cos(4 * np.pi * time))
    down = 0.1 * H * time
    expected = read(images(), right[:, None].expand(4, H, W), down[:, None].expand(4, H, W))
    torch.testing.assert_close(pipeline.apply(images(), draw), expected, atol=1e-10, rtol=0)


def test_matrices_and_fields_are_one_sampling_in_the_users_order():
    chain = [Rotation(20.0), Elastic(0.4), Scale(0.8), Translation(0.1, -0.1), LensDistortion(0.3), Perspective(0.2)]
    pipeline, draw, values = drawn(chain)
    assert len(pipeline.chain.stages) == 1
    at = pixel_lattice(H, W, torch.float64, torch.device("cpu"))
    for index in reversed(range(len(chain))):
        at = chain[index].carry(at, values[str(index)], FRAME, Carrying(backward=True))
    lattice = pixel_lattice(H, W, torch.float64, torch.device("cpu"))
    expected = read(images(), at.x - lattice.x, at.y - lattice.y)
    torch.testing.assert_close(pipeline.apply(images(), draw), expected, atol=1e-10, rtol=0)
    other = Pipeline(chain[::-1])
    assert not torch.allclose(other.apply(images(), other.sample(4, seeded())), expected, atol=1e-2)


def test_gates_and_choices_of_fields_fuse():
    options = [[LensDistortion(0.3)], [Flip(1.0)], [ThinPlate(), Scale(2.0)]]
    chain = [Rotation(10.0), Sometimes(Elastic(0.4)), OneOf(options)]
    pipeline, draw, values = drawn(chain, batch=40)
    assert len(pipeline.chain.stages) == 1
    changed = pipeline.apply(images(40), draw)
    for row in range(40):
        bent = bool(values["1"]["gate"][row])
        choice = min(int(values["2"]["selector"][row] * 3), 2)
        members = [Rotation(10.0), *([Elastic(0.4)] if bent else []), *options[choice]]
        chosen = values["2"][str(choice)]
        parts = [values["0"], *([values["1"]["0"]] if bent else []), *chosen.values()]
        own = {str(index): part for index, part in enumerate(parts)}
        single = {key: {name: v[row : row + 1] for name, v in part.items()} for key, part in own.items()}
        expected = Pipeline(members).chain.apply(images(40)[row : row + 1], single)
        torch.testing.assert_close(changed[row : row + 1], expected, atol=1e-9, rtol=0)


def test_a_colour_between_fields_separates_the_samplings():
    assert len(Pipeline([Elastic(), Brightness(), ThinPlate()]).chain.stages) == 3
    assert len(Pipeline([Elastic(), ThinPlate(padding="border")]).chain.stages) == 2


def test_gradients_reach_every_continuous_parameter_of_a_mixed_run():
    pipeline = Pipeline([Rotation(), ThinPlate(), RollingShutter(), Elastic(), LensDistortion()])
    draw = pipeline.sample(2, seeded())
    u = draw.u.double().requires_grad_()
    x = images(2, height=7, width=6).requires_grad_()
    weight = images(2, height=7, width=6).flip(0)
    loss = lambda x, u: (pipeline.apply(x, Draw(u, draw.seeds)) * weight).sum()  # noqa: E731
    assert torch.autograd.gradcheck(loss, (x, u), eps=1e-7, atol=1e-4, rtol=1e-3)
    moving = [
        column
        for column, distribution in enumerate(pipeline.parameters.values())
        if distribution.support[0] < distribution.support[1]
    ]
    assert (torch.autograd.grad(loss(x, u), u)[0][:, moving] != 0).all()


@pytest.mark.parametrize("size", [(12, 15), (13, 17), (2, 2), (1, 5)])
def test_grid_shuffle_permutes_cells_exactly(size):
    x = torch.arange(3 * size[0] * size[1], dtype=torch.float32).view(1, 3, *size).repeat(50, 1, 1, 1)
    pipeline = Pipeline(GridShuffle(3, 5))
    changed = pipeline(x, seeded())
    assert torch.equal(changed.flatten(1).sort(1).values, x.flatten(1).sort(1).values)
    rows, columns = min(3, size[0]), min(5, size[1])
    tall, wide = size[0] // rows, size[1] // columns
    assert torch.equal(changed[..., rows * tall :, :], x[..., rows * tall :, :])
    assert torch.equal(changed[..., columns * wide :], x[..., columns * wide :])
    # Inside a cell neighbours stay neighbours.
    cell = changed[..., :tall, :wide]
    torch.testing.assert_close(cell - cell[..., :1, :1], (x - x[..., :1, :1])[..., :tall, :wide], atol=0, rtol=0)
    first = changed[:, 0, 0, 0].unique()
    assert len(first) > min(rows * columns, 5) / 2, "every order occurs"


def test_one_cell_is_the_identity_and_every_cell_lands_everywhere_equally_often():
    x = images(3)
    assert torch.equal(Pipeline(GridShuffle(1, 1))(x), x)
    x = torch.arange(4.0).view(1, 1, 2, 2).expand(4000, 1, 2, 2)
    places = Pipeline(GridShuffle(2, 2))(x, seeded()).flatten(1)
    counts = torch.stack([(places == value).sum(0) for value in range(4)])
    # Each of 16 counts is binomial with mean 1000 and deviation 27.
    assert (counts - 1000).abs().max() < 130


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Elastic((0.0, 0.5)), "strength must be >= 0 and <= 0.48, got values from 0 to 0.5"),
        (lambda: Elastic(cells=0), "cells must be an int >= 1, got 0"),
        (lambda: LensDistortion(-0.4), r"1 \+ 3 k1 r\^2 \+ 5 k2 r\^4 must be > 0 up to r = 1, got -0.2 for k1=-0.4"),
        (lambda: LensDistortion(-1.0, 0.4), "must be > 0 up to r = 1"),
        (lambda: RollingShutter(y=-1.0), "y must be >= -0.9"),
        (lambda: RollingShutter(wobble=-0.1), "wobble must be >= 0"),
        (lambda: ThinPlate(mode="linear"), "mode must be one of"),
        (lambda: GridShuffle(rows=0), "rows must be an int >= 1, got 0"),
        (lambda: GridShuffle(columns=2.5), "columns must be an int >= 1, got 2.5"),
    ],
)
def test_bad_input_names_the_rule_and_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()

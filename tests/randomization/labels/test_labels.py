"""Labels against exact permutations, closed forms, and the moved images themselves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from art_domainrand.randomization import (
    Brightness,
    Crop,
    Elastic,
    Flip,
    Gamma,
    GaussianNoise,
    GridShuffle,
    LensDistortion,
    Rotation,
    Scale,
    ThinPlate,
    Translation,
)

from support.labels import MOVES, H, W, drawn, points, seeded


def coordinates(batch=4):
    """An image whose two channels are the column and the row: bilinear sampling of it is exact."""
    rows, columns = torch.meshgrid(torch.arange(H).double(), torch.arange(W).double(), indexing="ij")
    return torch.stack((columns, rows)).expand(batch, 2, H, W)


def read_at(image, places):
    """``image`` (B, 2, H, W) between its pixels at ``places`` (B, N, 2)."""
    grid = (2 * places / torch.tensor([W - 1, H - 1]) - 1)[:, None]
    return torch.nn.functional.grid_sample(image, grid, align_corners=True)[:, :, 0].transpose(1, 2)


def test_a_quarter_turn_of_boxes_is_integer_arithmetic():
    boxes = torch.tensor([[[3.0, 5.0, 10.0, 7.0], [0.0, 0.0, 20.0, 20.0], [19.0, 0.0, 20.0, 1.0]]])
    x1, y1, x2, y2 = boxes.unbind(2)
    for angle, expected in (
        (90.0, (y1, 20 - x2, y2, 20 - x1)),
        (180.0, (20 - x2, 20 - y2, 20 - x1, 20 - y1)),
        (-90.0, (20 - y2, x1, 20 - y1, x2)),
    ):
        pipeline, draw = drawn(Rotation(angle), batch=1)
        assert torch.equal(pipeline.geometry(draw, (20, 20)).boxes(boxes), torch.stack(expected, 2))
        image = torch.zeros(1, 1, 20, 20)
        image[..., 5:7, 3:10] = 1
        filled = torch.zeros(1, 1, 20, 20)
        left, top, right, bottom = (int(side[0, 0]) for side in expected)
        filled[..., top:bottom, left:right] = 1
        torch.testing.assert_close(pipeline.apply(image, draw), filled, atol=1e-5, rtol=0)


def test_flips_are_torchvisions_and_integers_come_back_as_floats():
    pipeline, draw = drawn(Flip(1.0, 1.0), batch=1)
    geometry = pipeline.geometry(draw, (8, 3, H, W))
    box, point = torch.tensor([[[1, 2, 5, 9]]]), torch.tensor([[[1, 2], [0, 0]]])
    assert geometry.boxes(box).tolist() == [[[W - 5, H - 9, W - 1, H - 2]]]
    assert geometry.boxes(box).dtype == torch.float32
    assert geometry.keypoints(point).tolist() == [[[W - 2, H - 3], [W - 1, H - 1]]]
    mask = torch.rand(1, 2, H, W, generator=seeded()) > 0.5
    assert torch.equal(geometry.masks(mask), mask.flip(2, 3))


@pytest.mark.parametrize(
    "items",
    [Brightness(), [Gamma(), GaussianNoise()], Rotation(0.0), Elastic(0.0), ThinPlate(0.0), LensDistortion(0.0)],
)
def test_labels_stay_where_nothing_moves(items):
    pipeline, draw = drawn(items)
    geometry = pipeline.geometry(draw, (H, W))
    places = points()
    boxes = torch.cat((places - 5, places + 3), 2)
    torch.testing.assert_close(geometry.keypoints(places), places, atol=1e-10, rtol=0)
    torch.testing.assert_close(geometry.boxes(boxes), boxes, atol=1e-10, rtol=0)
    masks = torch.randint(0, 9, (4, H, W), generator=seeded())
    assert torch.equal(geometry.masks(masks), masks)
    x = torch.rand(4, 3, H, W, dtype=torch.float64, generator=seeded())
    torch.testing.assert_close(pipeline.inverse(draw).apply(x), x, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", MOVES)
def test_the_image_shows_at_a_moved_keypoint_what_was_at_the_keypoint(name):
    if name == "stages":
        pytest.skip("its colours change the coordinates that the image holds")
    pipeline, draw = drawn(MOVES[name], seed=3)
    places = points()
    moved = pipeline.geometry(draw, (H, W)).keypoints(places)
    found = read_at(pipeline.apply(coordinates(), draw), moved)
    # What is left is the curvature of the field between two pixels.
    torch.testing.assert_close(found, places, atol=0.02, rtol=0)
    assert (moved - places).norm(dim=2).max() > 0.5


@pytest.mark.parametrize("name", MOVES)
def test_a_bright_dot_lands_on_the_keypoint(name):
    pipeline, draw = drawn(MOVES[name], batch=12, seed=4)
    places = points(12, 1)
    dots = torch.exp(-(coordinates(12) - places.view(12, 2, 1, 1)).square().sum(1, keepdim=True) / 2)
    changed = pipeline.apply(dots, draw) - pipeline.apply(torch.zeros_like(dots), draw)
    brightest = changed.flatten(1).argmax(1)
    found = torch.stack((brightest % W, brightest // W), 1)
    moved = pipeline.geometry(draw, (H, W)).keypoints(places)[:, 0]
    assert (found - moved).abs().max() <= 0.8, "half a pixel, and the dot is not quite round any more"


@pytest.mark.parametrize("name", MOVES)
def test_the_way_back_returns_points_and_images(name):
    pipeline, draw = drawn(MOVES[name], seed=5)
    there, back = pipeline.geometry(draw, (H, W)), pipeline.inverse(draw, (H, W))
    places = points()
    torch.testing.assert_close(back.keypoints(there.keypoints(places)), places, atol=1e-8, rtol=0)
    torch.testing.assert_close(there.keypoints(back.keypoints(places)), places, atol=1e-8, rtol=0)
    angle = coordinates() / 12
    smooth = torch.sin(angle[:, :1]) * torch.cos(angle[:, 1:])
    again = back.apply(there.apply(smooth))
    inner = (slice(None), slice(None), slice(H // 4, -H // 4), slice(W // 4, -W // 4))
    assert (again - smooth)[inner].abs().max() < 0.01
    if name != "stages":
        torch.testing.assert_close(there.apply(smooth), pipeline.apply(smooth, draw), atol=1e-9, rtol=0)


@given(
    st.sampled_from(sorted(set(MOVES))),
    st.integers(0, 2**31),
    st.tuples(st.integers(20, 34), st.integers(14, 26), st.integers(4, 18), st.integers(4, 16)),
)
@settings(max_examples=150, deadline=None)
def test_a_box_is_the_one_around_its_moved_pixels(name, seed, rectangle):
    left, top, width, height = rectangle
    pipeline, draw = drawn(MOVES[name], batch=1, seed=seed)
    image = torch.zeros(1, 1, H, W, dtype=torch.float64)
    image[..., top : top + height, left : left + width] = 1
    geometry = pipeline.geometry(draw, (H, W))
    box = geometry.boxes(torch.tensor([[[left, top, left + width, top + height]]]).double())[0, 0]
    rows, columns = geometry.apply(image)[0, 0].gt(0.5).nonzero().unbind(1)
    found = torch.stack((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    outside = torch.cat((box[:2] - found[:2], found[2:] - box[2:]))
    assert outside.max() < 1, "the box holds every pixel"
    # A corner that points up between two columns of pixels shows up to 0.3 pixels late by the threshold, and half a
    # pixel by each of the axes.
    assert outside.min() > -1.3


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mixed", [False, True])
def test_masks_move_like_an_image_read_by_nearest_neighbour(padding, mixed):
    turn = Rotation((20, 40), mode="nearest", padding=padding)
    fields = [Elastic(0.4, mode="nearest", padding=padding), Scale(0.6, mode="nearest", padding=padding)]
    pipeline, draw = drawn([turn, *fields] if mixed else turn)
    masks = torch.randint(0, 200, (4, 3, H, W), generator=seeded())
    moved = pipeline.geometry(draw).masks(masks, fill=None)
    assert moved.dtype == torch.int64
    expected = pipeline.apply(masks.double(), draw)
    assert (moved != expected).double().mean() < 1e-3, "up to ties between two pixels"


def test_soft_masks_and_every_dtype():
    pipeline, draw = drawn(MOVES["run"])
    soft = torch.rand(4, H, W, dtype=torch.float64, generator=seeded())
    geometry = pipeline.geometry(draw)
    torch.testing.assert_close(geometry.masks(soft, "bilinear")[:, None], pipeline.apply(soft[:, None], draw))
    hard = geometry.masks(soft > 0.5)
    assert hard.dtype == torch.bool
    for dtype in (torch.uint8, torch.float32, torch.int32):
        assert torch.equal(geometry.masks((soft > 0.5).to(dtype)), hard.to(dtype))
    listed = geometry.masks([mask.expand(count, H, W) > 0.5 for mask, count in zip(soft, (2, 0, 1, 3), strict=True)])
    assert [len(mask) for mask in listed] == [2, 0, 1, 3]
    assert torch.equal(listed[3][2], hard[3])


@pytest.mark.parametrize("between", [[], [Brightness()]])
def test_what_has_left_the_image_stays_out(between):
    pipeline, draw = drawn([Translation(0.6, 0.0), *between, Translation(-0.6, 0.0)], batch=1)
    gone = bool(between)
    geometry = pipeline.geometry(draw, (H, W))
    kept, lost = 0.2 * W, 0.8 * W
    moved = geometry.keypoints(torch.tensor([[[kept, 9.0, 2.0], [lost, 9.0, 2.0]]]))
    assert moved[0, :, 2].tolist() == [2, 0 if gone else 2]
    masks = geometry.masks(torch.ones(1, H, W))
    assert masks[..., : W // 3].all()
    assert masks[..., W // 2 :].any() != gone
    boxes = geometry.boxes(torch.tensor([[[kept, 3, kept + 4, 8], [lost, 3, lost + 4, 8]]]))
    torch.testing.assert_close(boxes[0, 0], torch.tensor([kept, 3, kept + 4, 8]))
    assert ((boxes[0, 1, 2:] - boxes[0, 1, :2]) <= 0).all() == gone
    uncut = geometry.boxes(torch.tensor([[[lost, 3, lost + 4, 8]]]), clip=False)
    torch.testing.assert_close(uncut[0, 0], torch.tensor([lost, 3, lost + 4, 8]))


def test_boxes_are_clipped_to_the_image_unless_asked_not_to():
    pipeline, draw = drawn(Translation(0.5, 0.5), batch=1)
    geometry = pipeline.geometry(draw, (H, W))
    boxes = torch.tensor([[[30.0, 10.0, 50.0, 40.0], [40.0, 10.0, 60.0, 20.0]]])
    assert geometry.boxes(boxes)[0, 0].tolist() == [66, 38, 72, 56]
    assert geometry.boxes(boxes, clip=False)[0].tolist() == [[66, 38, 86, 68], [76, 38, 96, 48]]
    empty = geometry.boxes(boxes)[0, 1]
    assert torch.equal(empty[:2], empty[2:])


def test_a_crop_of_half_the_image_doubles_a_box():
    # A quarter of the area about the centre: (x - c) * 2 + c in pixels, c = (W - 1) / 2 between centres.
    pipeline, draw = drawn(Crop(0.25, 1.0, 0.5, 0.5), batch=1)
    moved = pipeline.geometry(draw, (H, W)).boxes(torch.tensor([[[30.0, 20.0, 40.0, 30.0]]]))
    assert moved[0, 0].tolist() == [60 - W / 2, 40 - H / 2, 80 - W / 2, 60 - H / 2]


def test_grid_shuffle_moves_labels_with_their_cells():
    pipeline, draw = drawn(GridShuffle(4, 4), batch=6)
    geometry = pipeline.geometry(draw, (H, W))
    x = torch.rand(6, 1, H, W, generator=seeded())
    changed = pipeline.apply(x, draw)
    assert torch.equal(geometry.masks(x), changed)
    assert torch.equal(geometry.inverse().masks(changed), x)
    places = torch.tensor([[5.0, 3.0], [40.0, 50.0], [71.0, 55.0], [0.0, 0.0]]).expand(6, 4, 2)
    moved = geometry.keypoints(places).long()
    batch = torch.arange(6)[:, None]
    assert torch.equal(
        changed[batch, 0, moved[..., 1], moved[..., 0]], x[batch, 0, places[..., 1].long(), places[..., 0].long()]
    )
    assert torch.equal(geometry.inverse().keypoints(moved), places)
    # Cells are 14 x 18: the first box lies in one of them, the second is all of the image.
    boxes = geometry.boxes(torch.tensor([[[20.0, 15.0, 30.0, 25.0], [0.0, 0.0, W, H]]]).expand(6, 2, 4))
    corner = geometry.keypoints(torch.tensor([[20.0, 15.0]]).expand(6, 1, 2))
    assert torch.equal(boxes[:, 0], torch.cat((corner, corner + 10), 2)[:, 0])
    assert (boxes[:, 1] == torch.tensor([0.0, 0.0, W, H])).all()

"""Labels against exact permutations, closed forms, and the moved images themselves."""

import kornia.augmentation as K  # noqa: N812
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from art_domainrand import DomainRandomization
from art_domainrand.randomization import (
    TRANSFORMS,
    Brightness,
    Crop,
    Draw,
    Elastic,
    Flip,
    Gamma,
    GaussianNoise,
    GridShuffle,
    LensDistortion,
    OneOf,
    Perspective,
    Pipeline,
    RollingShutter,
    Rotation,
    Scale,
    Shear,
    Sometimes,
    ThinPlate,
    Translation,
)

H, W = 56, 72
MOVES = {
    "rotation": Rotation(),
    "perspective": Perspective(),
    "elastic": Elastic(0.4),
    "thin_plate": ThinPlate(),
    "barrel": LensDistortion(0.5),
    "pincushion": LensDistortion(-0.3),
    "off_centre": LensDistortion(0.3, 0.1, 0.2, -0.2),
    "rolling_shutter": RollingShutter(),
    "run": [Rotation(), Elastic(), Scale(), ThinPlate(), Flip()],
    "gates": [Sometimes(Elastic()), OneOf([LensDistortion(), Rotation(), [ThinPlate(), Shear()]])],
    "stages": [Elastic(), Brightness(), Rotation(), Gamma(), OneOf([GaussianNoise(), ThinPlate()])],
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(items, batch=4, seed=0):
    pipeline = Pipeline(items)
    draw = pipeline.sample(batch, seeded(seed))
    return pipeline, Draw(draw.u.double(), draw.seeds)


def points(batch=4, count=6, low=0.3, high=0.7):
    """Keypoints in the middle of the image."""
    unit = torch.rand(batch, count, 2, generator=seeded(7), dtype=torch.float64)
    return (low + (high - low) * unit) * torch.tensor([W, H])


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
    moved = pipeline.geometry(draw).masks(masks)
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


def test_lists_of_any_length_are_the_rows_of_a_tensor():
    pipeline, draw = drawn(MOVES["run"])
    geometry = pipeline.geometry(draw, (H, W))
    places = points().float()
    boxes = torch.cat((places - 4, places + 6), 2)
    for whole, move in ((places, geometry.keypoints), (boxes, geometry.boxes)):
        parts = move([row[:count] for row, count in zip(whole, (6, 0, 1, 3), strict=True)])
        assert [part.shape[0] for part in parts] == [6, 0, 1, 3]
        expected = move(whole)
        for part, row in zip(parts, expected, strict=True):
            torch.testing.assert_close(part, row[: len(part)])
    groups = geometry.keypoints(places.view(4, 2, 3, 2))
    torch.testing.assert_close(groups.view(4, 6, 2), geometry.keypoints(places))


def test_labels_of_a_slice_are_a_slice_of_the_labels():
    pipeline, draw = drawn(MOVES["stages"])
    places = points()
    part = pipeline.geometry(draw[1:3], (H, W)).keypoints(places[1:3])
    torch.testing.assert_close(part, pipeline.geometry(draw, (H, W)).keypoints(places)[1:3], atol=1e-12, rtol=0)


def test_gradients_reach_points_and_the_draw_both_ways():
    pipeline, draw = drawn([Rotation(), ThinPlate(), LensDistortion(), RollingShutter()], batch=2)
    places = points(2, 3)
    for inverted in (False, True):

        def move(u, at, inverted=inverted):
            geometry = pipeline.geometry(Draw(u, draw.seeds), (H, W))
            return (geometry.inverse() if inverted else geometry).keypoints(at)

        inputs = (draw.u.clone().requires_grad_(), places.clone().requires_grad_())
        assert torch.autograd.gradcheck(move, inputs, eps=1e-6, atol=1e-3)


def targets():
    masks = torch.zeros(3, H, W, dtype=torch.uint8)
    masks[0, 10:20, 30:40] = masks[1, 5:9, 60:70] = masks[2, 30:50, 20:60] = 1
    return {
        "boxes": torch.tensor([[30.0, 10, 40, 20], [60, 5, 70, 9], [20, 30, 60, 50]]),
        "labels": torch.tensor([4, 5, 6]),
        "scores": torch.tensor([0.4, 0.5, 0.6]),
        "masks": masks,
        "keypoints": torch.tensor([[[35.0, 15, 2]], [[65, 7, 2]], [[40, 40, 2]]]),
        "area": torch.tensor([1.0, 1.0, 1.0]),
        "image_id": 17,
        "names": ["a", "b", "c"],
    }


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("arrays", [False, True])
def test_detections_lose_the_rows_of_their_empty_boxes(drop, arrays):
    # By a quarter of the width to the right: the second of three boxes leaves.
    pipeline, draw = drawn(Translation(0.25, 0.0), batch=2)
    given = targets()
    if arrays:
        given = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in given.items()}
    moved, none = pipeline.geometry(draw, (H, W)).detections([given, {"labels": given["labels"]}], drop_empty=drop)
    assert none["labels"] is given["labels"]
    kept = [0, 2] if drop else [0, 1, 2]
    assert all(isinstance(value, np.ndarray) == isinstance(given[key], np.ndarray) for key, value in moved.items())
    moved = {key: torch.as_tensor(value) if key != "names" else value for key, value in moved.items()}
    assert moved["boxes"][[0, -1]].tolist() == [[48, 10, 58, 20], [38, 30, 72, 50]]
    assert moved["labels"].tolist() == [(4, 5, 6)[row] for row in kept]
    assert moved["scores"].tolist() == pytest.approx([(0.4, 0.5, 0.6)[row] for row in kept])
    assert moved["masks"].flatten(1).sum(1).tolist() == [(100, 0, 20 * 34)[row] for row in kept]
    assert moved["area"].tolist() == [(100, 0, 20 * 34)[row] for row in kept]
    assert moved["keypoints"][:, 0, 2].tolist() == [(2, 0, 2)[row] for row in kept]
    assert moved["image_id"] == 17
    assert moved["names"] == ["a", "b", "c"]
    assert given["boxes"][1].tolist() == [60, 5, 70, 9], "what was given is left alone"


def test_the_preprocessor_moves_detections_with_the_images():
    preprocessor = DomainRandomization([Rotation(), Elastic(), Brightness()], clip=None, channels_first=False, seed=1)
    x = torch.rand(2, H, W, 3, generator=seeded())
    draw = preprocessor.pipeline.sample(2, seeded())
    expected = preprocessor.pipeline.geometry(draw, (H, W)).detections([targets(), targets()])
    with preprocessor.replay(draw):
        changed, moved = preprocessor.forward(x, [targets(), targets()])
        arrays, same = preprocessor(x.numpy(), [targets(), targets()])
    for labels in (moved, same):
        for one, other in zip(labels, expected, strict=True):
            assert all(torch.equal(one[key], other[key]) for key in ("boxes", "labels", "masks", "keypoints"))
    torch.testing.assert_close(torch.from_numpy(arrays), changed, atol=0, rtol=0)


def test_kornia_modules_without_geometry_let_labels_through():
    pipeline, draw = drawn([K.ColorJiggle(0.1, 0.1, 0.1, 0.1, p=1.0), Flip(1.0)])
    places = points()
    torch.testing.assert_close(
        pipeline.geometry(draw, (H, W)).keypoints(places)[..., 0], W - 1 - places[..., 0], atol=1e-9, rtol=0
    )
    for module in (
        K.RandomAffine(10.0),
        K.RandomElasticTransform(),
        K.AugmentationSequential(K.RandomHorizontalFlip()),
    ):
        nested, draw = drawn([Sometimes(OneOf([module, Flip()]))])
        with pytest.raises(ValueError, match=r"labels cannot follow KorniaAugmentation.*geometry is not tracked"):
            nested.geometry(draw)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_labels_follow_every_transform_of_the_table(name):
    pipeline, draw = drawn(TRANSFORMS[name]())
    geometry = pipeline.geometry(draw, (H, W))
    places = points()
    boxes = torch.cat((places - 4, places + 6), 2)
    assert torch.cat((geometry.keypoints(places), geometry.boxes(boxes)), 2).isfinite().all()
    torch.testing.assert_close(geometry.inverse().keypoints(geometry.keypoints(places)), places, atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.boxes(torch.rand(4, 2, 5)), r"boxes must have 4 columns, got shapes \[\(2, 5\)"),
        (
            lambda g: g.keypoints([torch.rand(2, 2)] * 3),
            "keypoints must be for 4 images, as many as the draw has, got 3",
        ),
        (lambda g: g.keypoints([torch.rand(2, 2), torch.rand(2, 3)] * 2), "keypoints must have 2 or 3 columns"),
        (lambda g: g.masks([torch.rand(1, 4, 4), torch.rand(1, 4, 5)] * 2), "masks must be .* all of one size"),
        (lambda g: g.masks(torch.rand(4, 8, 8), "bicubic"), 'mode must be "nearest" or "bilinear", got \'bicubic\''),
        (lambda g: g.apply(torch.rand(4, 8, 8)), r"x must be a floating \(B, C, H, W\) tensor"),
        (lambda g: g.detections(3), "targets must be a tensor or a list"),
        (lambda g: Pipeline(Rotation()).inverse(g.draw).boxes(torch.rand(4, 1, 4)), "size must be given"),
        (lambda g: Pipeline(Rotation()).geometry(g.draw, (0, 4)), r"size must be \(height, width\), both >= 1"),
        (lambda g: Pipeline(Perspective()).geometry(g.draw), "draw must have 8 coordinates per image, got 1"),
    ],
)
def test_bad_input_names_the_rule_and_the_value(call, message):
    pipeline, draw = drawn(Rotation())
    with pytest.raises(ValueError, match=message):
        call(pipeline.geometry(draw, (8, 8)))

"""Labels at the limits: beyond the border, in half precision, mirrored, and what is no label."""

import numpy as np
import pytest
import torch

from art_domainrand.randomization import (
    MIXING,
    Brightness,
    Elastic,
    Flip,
    GridShuffle,
    OneOf,
    Pipeline,
    Rotation,
    Sometimes,
    Translation,
    from_json,
    to_json,
)

from support.labels import MOVES, H, W, drawn, points, seeded

HALF = (torch.float16, torch.bfloat16)


def epsilon(dtype):
    return torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", ["run", "stages"])
def test_half_precision_is_sampled_in_float32(dtype, name):
    pipeline, draw = drawn(MOVES[name])
    x = torch.rand(4, 3, H, W, generator=seeded()).to(dtype)
    geometry = pipeline.geometry(draw)
    for move in (
        geometry.apply,
        geometry.inverse().apply,
        lambda image: geometry.masks(image, "bilinear"),
        lambda image: torch.stack(geometry.masks(list(image), "bilinear")),
    ):
        moved = move(x)
        assert moved.dtype == dtype
        assert 0 <= moved.min() <= moved.max() <= 1
        torch.testing.assert_close(moved.float(), move(x.float()), atol=epsilon(dtype), rtol=0)


@pytest.mark.parametrize("side", [33, 224])
def test_half_precision_stays_within_the_unit_range_where_much_lies_outside(side):
    pipeline, draw = drawn([Rotation(45.0), Translation(0.4, 0.4)], batch=2)
    for dtype in HALF:
        x = torch.ones(2, 1, side, side, dtype=dtype)
        for moved in (pipeline.geometry(draw).apply(x), pipeline.inverse(draw).apply(x)):
            assert 0 <= moved.min() <= moved.max() <= 1


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", MIXING)
def test_half_precision_is_mixed_in_float32(dtype, name):
    mixing, x = MIXING[name](), torch.rand(6, 3, 32, 32, generator=seeded()).to(dtype)
    draw = mixing.sample(6, seeded())
    mixed, soft = mixing.mix(x, torch.arange(6), draw, 6)
    expected, labels = mixing.mix(x.float(), torch.arange(6), draw, 6)
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed.float(), expected, atol=epsilon(dtype), rtol=0)
    assert torch.equal(soft, labels)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_an_instance_is_not_continued_beyond_the_border(padding, mode):
    # A box at the right border, shifted in by three pixels: it keeps its area, as its box does.
    pipeline, draw = drawn(Translation(-3 / W, 0.0, padding=padding), batch=1)
    geometry = pipeline.geometry(draw, (H, W))
    mask = torch.zeros(1, H, W)
    mask[:, 10:13, W - 4 :] = 1
    moved = geometry.masks(mask, mode)
    assert torch.equal(moved.round(), mask.roll(-3, 2))
    box = geometry.boxes(torch.tensor([[[W - 4.0, 10, W, 13]]]))[0, 0]
    torch.testing.assert_close(box, torch.tensor([W - 7.0, 10, W - 3, 13]))
    target = {"boxes": torch.tensor([[W - 4.0, 10, W, 13]]), "masks": mask.bool(), "area": torch.tensor([1.0])}
    assert geometry.detections([target])[0]["area"].tolist() == [12]


def test_boxes_of_shuffled_patches_are_not_continued_beyond_the_border():
    turn = Translation(-3 / W, 0.0, padding="border")
    pipeline, draw = drawn([turn, GridShuffle(1, 1)], batch=1)
    box = pipeline.geometry(draw, (H, W)).boxes(torch.tensor([[[W - 4.0, 10, W, 13]]]))
    assert box[0, 0].tolist() == [W - 7, 10, W - 3, 13]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("back", [False, True])
def test_semantic_masks_are_filled_with_what_the_loss_ignores(dtype, back):
    pipeline, draw = drawn([Translation(0.25, 0.0, padding="border"), Brightness(), Translation(0.25, 0.0)], batch=2)
    geometry = pipeline.inverse(draw) if back else pipeline.geometry(draw)
    masks = torch.randint(0, 20, (2, H, W), generator=seeded()).to(dtype)
    moved, new = geometry.masks(masks, fill=255), W // 2
    expected = torch.full_like(masks, 255)
    if back:
        expected[..., : W - new] = masks[..., new:]
    else:
        expected[..., new:] = masks[..., : W - new]
    assert torch.equal(moved, expected)
    assert all(torch.equal(one, other) for one, other in zip(geometry.masks(list(masks), fill=255), moved, strict=True))


def test_soft_masks_fade_to_the_fill():
    pipeline, draw = drawn(Translation(-0.5 / W, 0.0), batch=1)
    moved = pipeline.geometry(draw).masks(torch.full((1, H, W), 0.25), "bilinear", fill=0.75)
    torch.testing.assert_close(moved[..., :-1], torch.full((1, H, W - 1), 0.25))
    torch.testing.assert_close(moved[..., -1], torch.full((1, H), 0.5))


FACE = ((1, 2), (3, 4))


@pytest.mark.parametrize(("across", "down"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("nested", [False, True])
def test_mirrored_keypoints_change_sides(across, down, nested):
    # One flip makes a left eye a right one; both are half a turn, which does not.
    flip = Flip(float(across), float(down), FACE)
    pipeline, draw = drawn([Sometimes(OneOf([[Brightness(), flip]]), 1.0), Elastic(0.0)] if nested else flip, batch=2)
    alone, choice = drawn(Flip(float(across), float(down)), batch=2)
    plain = alone.geometry(choice, (H, W))
    geometry = pipeline.geometry(draw, (H, W))
    given = torch.cat((points(2, 10), torch.arange(20.0).view(2, 10, 1)), 2).view(2, 2, 5, 3)
    order = [0, 2, 1, 4, 3] if across != down else [0, 1, 2, 3, 4]
    moved = geometry.keypoints(given)
    torch.testing.assert_close(moved, plain.keypoints(given)[:, :, order])
    torch.testing.assert_close(geometry.inverse().keypoints(moved), given)
    listed = geometry.keypoints(list(given))
    assert all(torch.equal(one, other) for one, other in zip(listed, moved, strict=True))
    target = {"boxes": torch.tensor([[0.0, 0, W, H]] * 2), "keypoints": given[0]}
    assert torch.equal(geometry.detections([target, target])[0]["keypoints"], moved[0])


def test_each_image_swaps_by_its_own_draw_and_two_flips_undo_each_other():
    pipeline, draw = drawn(Flip(0.5, 0.5, FACE), batch=32)
    plain = Pipeline(Flip(0.5, 0.5)).geometry(draw, (H, W))
    given = points(32, 5)
    moved, unswapped = pipeline.geometry(draw, (H, W)).keypoints(given), plain.keypoints(given)
    mirrored = (draw.u < 0.5).sum(1) == 1
    assert 0 < mirrored.sum() < 32
    assert torch.equal(moved[mirrored], unswapped[mirrored][:, [0, 2, 1, 4, 3]])
    assert torch.equal(moved[~mirrored], unswapped[~mirrored])
    twice, draw = drawn([Flip(1.0, 0.0, FACE), Flip(1.0, 0.0, FACE)], batch=32)
    torch.testing.assert_close(twice.geometry(draw, (H, W)).keypoints(given), given)


def test_pairs_are_written_read_and_checked():
    pipeline = Pipeline(Flip(pairs=[[1, 2], np.array([3, 4])]))
    assert pipeline.transforms[0].pairs == FACE
    assert from_json(to_json(pipeline)) == pipeline
    for bad in (((1, 1),), ((1, 2), (2, 3)), ((-1, 2),), (1, 2), ((1.5, 2),), ((1, 2, 3),), None):
        with pytest.raises(ValueError, match="pairs must be pairs of different keypoints, ints >= 0, got"):
            Flip(pairs=bad)
    geometry = pipeline.geometry(pipeline.sample(1, seeded()), (H, W))
    with pytest.raises(ValueError, match=r"pairs must be of the 4 keypoints of an object, got \(\(1, 2\), \(3, 4\)\)"):
        geometry.keypoints(points(1, 4))


@pytest.mark.parametrize("items", [Rotation(90.0), [Rotation(90.0), GridShuffle(1, 1)]])
def test_boxes_from_the_lower_right_are_said_to_be_so_and_turned(items):
    pipeline, draw = drawn(items, batch=1)
    geometry = pipeline.geometry(draw, (20, 20))
    good, bad = torch.tensor([[[3.0, 5, 10, 7]]]), torch.tensor([[[10.0, 7, 3, 5]]])
    with pytest.warns(UserWarning, match=r"got \[10\.0, 7\.0, 3\.0, 5\.0\].*is it \(x, y, width, height\)\?"):
        turned = geometry.boxes(bad)
    assert torch.equal(turned, geometry.boxes(good))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_boxes_that_are_nowhere_are_refused(value):
    pipeline, draw = drawn(Rotation(), batch=1)
    geometry, box = pipeline.geometry(draw, (H, W)), torch.tensor([[3.0, 5, value, 7]])
    for move in (lambda: geometry.boxes([box]), lambda: geometry.detections([{"boxes": box.numpy()}])):
        with pytest.raises(ValueError, match=r"boxes must be finite, got \[3\.0, 5\.0, (nan|inf), 7\.0\]"):
            move()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.masks(torch.zeros(4, H, W, dtype=torch.uint8), "bilinear"), "masks must be floating for mode="),
        (lambda g: g.masks([torch.zeros(1, H, W) > 0] * 4, "bilinear"), "masks must be floating .*got torch.bool"),
        (lambda g: g.masks(torch.zeros(4, H, W, dtype=torch.int8), fill=255), "fill must be None or a number that"),
        (lambda g: g.masks(torch.zeros(4, H, W) > 0, fill=2), "fill must be .*torch.bool masks can hold, got 2"),
        (lambda g: g.masks(torch.zeros(4, H, W), fill=float("nan")), "fill must be .*got nan"),
        (lambda g: g.masks(torch.zeros(4, H, W), fill="zeros"), "fill must be .*got 'zeros'"),
    ],
)
def test_masks_that_cannot_be_read_or_filled_so_are_refused(call, message):
    pipeline, draw = drawn(Rotation())
    with pytest.raises(ValueError, match=message):
        call(pipeline.geometry(draw))

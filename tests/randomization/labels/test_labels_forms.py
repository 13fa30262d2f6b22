"""What labels come in: lists, slices, detections, gradients, every transform of the table, and what is refused."""

from types import MappingProxyType

import kornia.augmentation as K  # noqa: N812
import numpy as np
import pytest
import torch

from art_domainrand import DomainRandomization, RandomizedDataGenerator
from art_domainrand.randomization import (
    TRANSFORMS,
    Brightness,
    Draw,
    Elastic,
    Flip,
    LensDistortion,
    OneOf,
    Perspective,
    Pipeline,
    RollingShutter,
    Rotation,
    Sometimes,
    ThinPlate,
    Translation,
)

from support.labels import MOVES, H, W, drawn, points, seeded


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


@pytest.mark.parametrize("keys", [("boxes",), ("boxes", "labels"), ("masks",), ("keypoints",), ("labels",), ()])
def test_detections_may_lack_any_entry(keys):
    pipeline, draw = drawn(Translation(0.25, 0.0), batch=2)
    geometry, given = pipeline.geometry(draw, (H, W)), targets()
    whole = geometry.detections([given, given], drop_empty=False)[0]
    moved = geometry.detections([{key: given[key] for key in keys}] * 2, drop_empty=False)[1]
    assert list(moved) == list(keys)
    assert all(torch.equal(moved[key], whole[key]) for key in keys)


def test_entries_with_other_rows_than_boxes_are_named():
    pipeline, draw = drawn(Translation(0.25, 0.0), batch=1)
    bad = targets() | {"labels": torch.tensor([1, 2])}
    with pytest.raises(ValueError, match="labels must have a row for each of 3 boxes, got 2"):
        pipeline.geometry(draw, (H, W)).detections([bad])


def test_every_frame_of_a_clip_moves_and_comes_back_alike():
    pipeline, draw = drawn(MOVES["run"], batch=2)
    clips = torch.rand(2, 3, 1, H, W, dtype=torch.float64, generator=seeded())
    for geometry in (pipeline.geometry(draw), pipeline.inverse(draw)):
        moved = geometry.apply(clips)
        assert all(torch.equal(moved[:, k], geometry.apply(clips[:, k])) for k in range(3))
    torch.testing.assert_close(pipeline.geometry(draw).apply(clips), pipeline.apply(clips, draw))


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


@pytest.mark.parametrize("name", [name for name, cls in TRANSFORMS.items() if cls().tracked])
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
        (lambda g: g.apply(torch.rand(4, 8, 8)), r"x must be a floating \(B, C, H, W\) or \(B, T, C, H, W\) tensor"),
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


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_an_object_array_of_detections_is_a_list_of_them(shape):
    pipeline, draw = drawn(Translation(0.25, 0.0), batch=2)
    given = np.empty(2, dtype=object)
    given[:] = [targets(), targets()]
    expected = pipeline.geometry(draw, (H, W)).detections([targets(), targets()])
    preprocessor = DomainRandomization(pipeline, seed=1)
    with preprocessor.replay(draw):
        moved = (
            pipeline.geometry(draw, (H, W)).detections(given.reshape(shape)),
            preprocessor(np.zeros((2, 1, H, W), np.float32), given.reshape(shape))[1],
            preprocessor.forward(torch.zeros(2, 1, H, W), given.reshape(shape))[1],
        )
    for labels in moved:
        assert labels.shape == shape
        assert labels.dtype == object
        for one, other in zip(labels.ravel(), expected, strict=True):
            assert all(torch.equal(one[key], other[key]) for key in ("boxes", "labels", "masks", "keypoints"))


def test_any_mapping_is_a_detection():
    pipeline, draw = drawn(Translation(0.25, 0.0), batch=1)
    (moved,) = DomainRandomization(pipeline, seed=1).forward(torch.zeros(1, 1, H, W), [MappingProxyType(targets())])[1]
    assert moved["boxes"].tolist() == pipeline.geometry(draw, (H, W)).detections([targets()])[0]["boxes"].tolist()


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (targets(), r"one dictionary with the entries \['boxes', 'labels'"),
        ({"keypoints": torch.rand(2, 3, 2)}, r"one dictionary with the entries \['keypoints'\]"),
        ([targets(), 3], r"\['dict', 'int'\]"),
        ([[targets()], [targets()]], r"\['list', 'list'\]"),
    ],
)
def test_detections_in_another_form_are_refused_rather_than_left_in_place(labels, got):
    pipeline, draw = drawn(Rotation(), batch=2)
    preprocessor = DomainRandomization(pipeline, seed=1)
    calls = [
        lambda: preprocessor.forward(torch.zeros(2, 1, H, W), labels),
        lambda: preprocessor(np.zeros((2, 1, H, W), np.float32), labels),
        lambda: pipeline.geometry(draw, (H, W)).detections(labels),
        lambda: RandomizedDataGenerator(np.zeros((2, 1, H, W), np.float32), labels, batch_size=2, pipeline=pipeline),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=rf"must be class labels or a list with a dictionary.*, got {got}"):
            call()


def test_labels_of_other_kinds_pass_through():
    preprocessor, x = DomainRandomization(Rotation(), seed=1), torch.zeros(2, 1, H, W)
    ragged = np.array(["cat", None], dtype=object)
    for labels in (torch.tensor([0, 1]), np.eye(2), ["a", "b"], ragged, {"labels": torch.tensor([0, 1])}, None):
        assert preprocessor.forward(x, labels)[1] is labels

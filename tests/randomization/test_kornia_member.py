"""Our transforms inside Kornia's containers, beside Kornia's own: images, masks, boxes, keypoints, and the way back."""

import copy
import pickle

import kornia.augmentation as K  # noqa: N812
import pytest
import torch
from kornia.geometry.boxes import Boxes
from kornia.geometry.keypoints import Keypoints

from art_domainrand.randomization import (
    DOMAINS,
    TRANSFORMS,
    Brightness,
    Constant,
    Elastic,
    Flip,
    GaussianBlur,
    GaussianNoise,
    GridShuffle,
    KorniaMember,
    Perspective,
    Pipeline,
    RandomCorruption,
    Rotation,
    Scale,
    Shear,
    Sometimes,
    Translation,
)

KEYS = ["input", "mask", "bbox", "bbox_xyxy", "keypoints"]
SIZE = (24, 32)

# Ours, and Kornia's with the same numbers. Kornia's image and ours differ by rounding alone.
PAIRS = {
    "rotation": (Rotation(Constant(25.0)), lambda: K.RandomRotation((25.0, 25.0), p=1.0)),
    "translation": (
        Translation(Constant(0.125), Constant(-0.25)),
        lambda: K.RandomTranslate((0.125, 0.125), (-0.25, -0.25), p=1.0, align_corners=True),
    ),
    "shear": (
        Shear(Constant(12.0), Constant(0.0)),
        lambda: K.RandomShear((12.0, 12.0), p=1.0, align_corners=True),
    ),
    "scale": (Scale(Constant(1.27)), lambda: K.RandomAffine(0.0, scale=(1.27, 1.27), p=1.0, align_corners=True)),
    "mirror": (Flip(horizontal=1.0), lambda: K.RandomHorizontalFlip(p=1.0)),
    "upside_down": (Flip(horizontal=0.0, vertical=1.0), lambda: K.RandomVerticalFlip(p=1.0)),
}


def labelled(n=3, seed=0):
    """Smooth images, blocks as masks, boxes in both forms, and keypoints."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 6, 8, generator=generator)
    x = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")
    mask = torch.zeros(n, 1, *SIZE)
    mask[:, :, 6:17, 9:22] = 1
    boxes = torch.tensor([[9.0, 6.0, 21.0, 16.0], [3.0, 4.0, 10.0, 9.0]]).expand(n, 2, 4)
    vertices = Boxes.from_tensor(boxes, mode="xyxy_plus").to_tensor("vertices_plus")
    points = torch.tensor([[9.0, 6.0], [15.5, 11.5], [20.0, 8.0]]).expand(n, 3, 2)
    return x, mask, vertices, boxes, points


def sequence(*members, **options):
    return K.AugmentationSequential(*members, data_keys=KEYS, **options)


@pytest.mark.parametrize("name", PAIRS)
def test_a_member_moves_everything_as_kornias_own_does(name):
    ours, theirs = sequence(KorniaMember(PAIRS[name][0])), sequence(PAIRS[name][1]())
    moved, expected = ours(*labelled()), theirs(*labelled())
    torch.testing.assert_close(moved[0], expected[0], atol=1e-4, rtol=0)
    assert (moved[1] != expected[1]).float().mean() < 0.01  # a tie between two nearest pixels may go either way
    for one, other in zip(moved[2:], expected[2:], strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    torch.testing.assert_close(ours.transform_matrix, theirs.transform_matrix, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", PAIRS)
def test_the_way_back_is_kornias(name):
    ours, theirs = sequence(KorniaMember(PAIRS[name][0])), sequence(PAIRS[name][1]())
    back = ours.inverse(*ours(*labelled()))
    expected = theirs.inverse(*theirs(*labelled()))
    torch.testing.assert_close(back[0], expected[0], atol=1e-4, rtol=0)
    assert (back[1] != expected[1]).float().mean() < 0.02
    for one, other in zip(back[2:], expected[2:], strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    torch.testing.assert_close(back[4], labelled()[4], atol=1e-3, rtol=0)


def test_members_of_both_kinds_follow_one_another():
    chain = sequence(KorniaMember([Rotation(Constant(20.0)), Brightness(0.1)]), K.RandomHorizontalFlip(p=1.0))
    theirs = sequence(K.RandomRotation((20.0, 20.0), p=1.0), K.RandomHorizontalFlip(p=1.0))
    moved, expected = chain(*labelled()), theirs(*labelled())
    inside = sequence(K.RandomRotation((20.0, 20.0), p=1.0), K.RandomHorizontalFlip(p=1.0))(
        *(torch.ones_like(part) for part in labelled())
    )[0]
    torch.testing.assert_close(
        moved[0][inside > 0.99], (expected[0] + 0.1).clamp(0, 1)[inside > 0.99], atol=1e-4, rtol=0
    )
    for one, other in zip(moved[2:], expected[2:], strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    torch.testing.assert_close(chain.transform_matrix, theirs.transform_matrix, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(chain.inverse(*moved)[4], labelled()[4], atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["rotation", "perspective", "elastic", "grid_shuffle", "gaussian_noise", "hue"])
def test_a_replay_of_the_parameters_is_the_same_call(name):
    chain = sequence(KorniaMember(TRANSFORMS[name](), p=0.7))
    first = chain(*labelled())
    chain(*labelled())  # another draw in between
    saved = pickle.loads(pickle.dumps(chain._params))
    second = chain(*labelled(), params=saved)
    again = chain(*labelled(), params=saved)
    assert not torch.equal(first[0], second[0])
    assert all(torch.equal(one, other) for one, other in zip(second, again, strict=True))


def test_numbers_come_from_torchs_global_generator_as_kornias_do():
    chain = KorniaMember([Rotation(), GaussianNoise(0.1)])
    torch.manual_seed(3)
    first = chain(labelled()[0])
    torch.manual_seed(3)
    assert torch.equal(chain(labelled()[0]), first)


@pytest.mark.parametrize("how", ["member", "container"])
def test_same_on_batch_shares_one_draw(how):
    members = KorniaMember([Rotation(90.0), GaussianNoise(0.1)], same_on_batch=how == "member")
    chain = sequence(members, same_on_batch=True) if how == "container" else sequence(members)
    x, *labels = labelled()
    moved = chain(x[:1].expand_as(x), *labels)[0]
    assert torch.equal(moved[0], moved[1])
    assert torch.equal(moved[0], moved[2])


def test_p_leaves_the_other_images_and_their_labels_alone():
    torch.manual_seed(0)
    chain = sequence(KorniaMember(Rotation(Constant(30.0)), p=0.5))
    data = labelled(16)
    moved = chain(*data)
    changed = chain._params[0].data["batch_prob"] > 0.5
    assert 0 < changed.sum() < 16
    for before, after in zip(data, moved, strict=True):
        assert torch.equal(before[~changed], after[~changed])
        assert (before[changed] != after[changed]).flatten(1).any(1).all()
    back = chain.inverse(*moved)
    assert torch.equal(back[0][~changed], data[0][~changed])
    torch.testing.assert_close(back[4], data[4], atol=1e-3, rtol=0)


@pytest.mark.parametrize("transform", [Elastic(Constant(0.3)), GridShuffle(2, 2), Sometimes([Elastic(), Rotation()])])
def test_fields_and_patches_carry_the_labels_too(transform):
    """As Geometry says, in Kornia's conventions: a box ends at the centre of its last pixel, and there is no matrix."""
    chain = sequence(KorniaMember(transform))
    x, mask, vertices, boxes, points = labelled()
    moved = chain(x, mask, vertices, boxes, points)
    draw = chain._params[0].data
    geometry = Pipeline(transform).geometry(Pipeline(transform).sample(3), SIZE)
    geometry = type(geometry)(geometry.chain, type(geometry.draw)(draw["u"], draw["seeds"]), SIZE)
    assert torch.equal(moved[1], geometry.masks(mask))
    torch.testing.assert_close(moved[4], geometry.keypoints(points))
    edges = geometry.boxes(boxes + torch.tensor([0.0, 0.0, 1.0, 1.0]), clip=False)
    torch.testing.assert_close(moved[3], edges - torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert chain.transform_matrix.isnan().all()
    torch.testing.assert_close(chain.inverse(*moved)[4], points, atol=1e-2, rtol=0)


def test_a_mirror_swaps_left_and_right_keypoints_but_no_corners_of_boxes():
    chain = sequence(KorniaMember(Flip(horizontal=1.0, pairs=((0, 2),))))
    theirs = sequence(K.RandomHorizontalFlip(p=1.0))
    moved, expected = chain(*labelled()), theirs(*labelled())
    torch.testing.assert_close(moved[4], expected[4][:, [2, 1, 0]])
    torch.testing.assert_close(moved[2], expected[2])


def test_what_moves_nothing_leaves_the_labels_and_the_way_back_alone():
    chain = sequence(KorniaMember([Brightness(0.2), GaussianBlur()]))
    data = labelled()
    moved = chain(*data)
    assert all(torch.equal(before, after) for before, after in zip(data[1:], moved[1:], strict=True))
    assert torch.equal(chain.inverse(*moved)[0], moved[0])
    torch.testing.assert_close(chain.transform_matrix, torch.eye(3).expand(3, 3, 3))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_is_a_member(name):
    member = KorniaMember(TRANSFORMS[name](), clip_output=False)
    x = labelled()[0]
    changed = member(x)
    draw = member.pipeline.sample(3)
    draw = type(draw)(member._params["u"], member._params["seeds"])
    assert torch.equal(changed, member.pipeline.apply(x, draw))
    assert torch.equal(KorniaMember(TRANSFORMS[name]())(x, params=member._params), changed.clamp(0, 1))


@pytest.mark.parametrize("name", ["night", "fog", "sketch"])
def test_domains_are_members(name):
    x = labelled()[0]
    assert sequence(KorniaMember(DOMAINS[name]()))(*labelled())[0].shape == x.shape


def test_masks_in_a_list_and_containers_of_labels():
    chain = K.AugmentationSequential(KorniaMember(Rotation(Constant(15.0))), data_keys=["input", "mask", "mask"])
    x, mask, *_ = labelled()
    listed, whole = chain(x, [one[0] for one in mask], mask)[1:]
    assert all(torch.equal(one.squeeze(), other[0]) for one, other in zip(listed, whole, strict=True))
    moved = K.AugmentationSequential(KorniaMember(Rotation(Constant(15.0))), data_keys=["input", "bbox", "keypoints"])(
        x, Boxes.from_tensor(labelled()[3], mode="xyxy_plus"), Keypoints(labelled()[4])
    )
    assert isinstance(moved[1], Boxes)
    assert isinstance(moved[2], Keypoints)


def test_a_gradient_passes_through_the_image_also_where_it_is_clipped():
    x = labelled()[0].requires_grad_()
    changed = KorniaMember([Brightness(0.9)])(x)
    assert (changed == 1).any()
    (gradient,) = torch.autograd.grad(changed.sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x))


@pytest.mark.parametrize("items", [K.RandomAffine(10.0, p=1.0), RandomCorruption(("elastic_transform",))])
def test_labels_cannot_follow_what_is_not_tracked(items):
    member = KorniaMember([items, Perspective()])
    member(labelled()[0])
    with pytest.raises(ValueError, match="labels cannot follow"):
        sequence(member)(*labelled())


def test_a_copy_of_a_member_replays_its_draw():
    member = KorniaMember([Rotation(), Elastic(), GaussianNoise(0.1)], p=0.5)
    x = labelled()[0]
    changed = member(x)
    for again in (copy.deepcopy(member), pickle.loads(pickle.dumps(member))):
        assert torch.equal(again(x, params=member._params), changed)


def test_one_image_keeps_its_form_if_asked():
    x = labelled()[0][0]
    assert KorniaMember(Rotation(), keepdim=True)(x).shape == x.shape
    assert KorniaMember(Rotation())(x).shape == (1, *x.shape)


def test_kornias_other_containers_take_members_too():
    x = labelled()[0]
    clip = K.VideoSequential(KorniaMember([Rotation(), GaussianNoise(0.1)]), data_format="BTCHW", same_on_frame=True)
    frames = clip(x[:, None].expand(3, 4, *x.shape[1:]))
    assert torch.equal(frames[:, 0], frames[:, 3])
    for container in (
        K.ImageSequential(KorniaMember(Rotation()), K.ColorJitter(0.1, 0.1, 0.1, 0.1)),
        K.PatchSequential(KorniaMember(Rotation()), grid_size=(2, 2), patchwise_apply=False),
        Pipeline([KorniaMember(Rotation()), Brightness()]),
    ):
        assert container(x).shape == x.shape


def test_no_boxes_and_no_points_are_none_afterwards():
    chain = K.AugmentationSequential(
        KorniaMember([Elastic(), Rotation()]), data_keys=["input", "bbox_xyxy", "keypoints"]
    )
    _, boxes, points = chain(labelled()[0], torch.zeros(3, 0, 4), torch.zeros(3, 0, 2))
    assert boxes.shape == (3, 0, 4)
    assert points.shape == (3, 0, 2)

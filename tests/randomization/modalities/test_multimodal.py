"""One draw moves all modalities of a scene; each is read in its own way and changed by its own transforms."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from art_domainrand.randomization import (
    Brightness,
    DepthModality,
    Draw,
    Elastic,
    Flip,
    GaussianNoise,
    ImageModality,
    LensDistortion,
    MaskModality,
    MultiModal,
    OneOf,
    Perspective,
    Pipeline,
    Rotation,
    Saturation,
    Scale,
    Shear,
    Sometimes,
    Translation,
    from_json,
    from_yaml,
    to_json,
    to_yaml,
)
from art_domainrand.randomization.core.sampling import keyed_draws
from art_domainrand.randomization.learned import LearnableRanges

GEOMETRIES = {
    "affine": [Rotation((-40, 40)), Scale((0.7, 1.4)), Flip(0.5, 0.5), Translation()],
    "bent": [Rotation(), Elastic(), Perspective()],
    "lens": [LensDistortion(), Perspective(), Rotation()],
    "chosen": [Sometimes(Shear(), 0.5), OneOf([Rotation((60, 120)), Flip(1.0)])],
    "none": None,
}
STACK = {"depth": 1, "rgb": 3, "thermal": 1}


def scenes(n=6, height=14, width=18, seed=0):
    random = torch.Generator().manual_seed(seed)
    return {
        "rgb": torch.rand(n, 3, height, width, generator=random),
        "depth": torch.rand(n, 1, height, width, generator=random),
        "thermal": torch.rand(n, 1, height, width, generator=random),
        "mask": torch.randint(0, 5, (n, height, width), generator=random),
    }


def multimodal(geometry, **options):
    return MultiModal(
        {
            "rgb": [Brightness(), Saturation(), GaussianNoise()],
            "depth": DepthModality(GaussianNoise((0, 0.02)), **options),
            "thermal": ImageModality(Brightness(), mode="bicubic", fill=0.5),
            "mask": MaskModality(fill=255),
        },
        geometry,
    )


def draw_for(pipeline, n=6, seed=1):
    return pipeline.sample(n, torch.Generator().manual_seed(seed))


def stacked(pictures, channels=STACK):
    return torch.cat([pictures[name] for name in channels], dim=1)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_channels_of_one_image_are_what_the_dictionary_holds_to_the_bit(geometry, mode):
    scene, both = scenes(), multimodal(GEOMETRIES[geometry], mode=mode)
    draw, pipeline = draw_for(both), both.stacked(STACK)
    assert list(pipeline.parameters.items()) == list(both.parameters.items())
    changed = both.apply(scene, draw)
    assert torch.equal(pipeline.apply(stacked(scene), draw), stacked(changed))
    assert not any(torch.equal(changed[name], scene[name]) for name in STACK)
    parts = pipeline.transforms[0].split(stacked(changed))
    assert {name: tuple(part.shape[1:]) for name, part in parts.items()} == {
        name: (count, 14, 18) for name, count in STACK.items()
    }


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_slices_commute_and_no_modality_sees_the_others(geometry):
    scene, both = scenes(), multimodal(GEOMETRIES[geometry])
    draw = draw_for(both)
    whole = both.apply(scene, draw)
    for part in (slice(2, 3), slice(1, 5), [5, 0]):
        some = both.apply({name: x[part] for name, x in scene.items()}, draw[part])
        assert all(torch.equal(some[name], whole[name][part]) for name in scene)
    for name in scene:
        assert torch.equal(both.apply({name: scene[name]}, draw)[name], whole[name])


@pytest.mark.parametrize("geometry", ["affine", "lens", "chosen"])
def test_images_move_as_in_a_pipeline_and_masks_as_labels_do(geometry):
    scene, plain = scenes(), Pipeline(GEOMETRIES[geometry])
    both = MultiModal({"rgb": None, "mask": MaskModality(fill=255)}, GEOMETRIES[geometry])
    draw = draw_for(plain)
    assert len(both.parameters) == len(plain.parameters)
    changed = both.apply({"rgb": scene["rgb"], "mask": scene["mask"]}, draw)
    assert torch.equal(changed["mask"], plain.geometry(draw).masks(scene["mask"], fill=255))
    assert torch.equal(both.geometry(draw).masks(scene["mask"], fill=255), changed["mask"])
    torch.testing.assert_close(changed["rgb"], plain.apply(scene["rgb"], draw))
    back = both.inverse(draw, scene["rgb"].shape).keypoints(
        both.geometry(draw, scene["rgb"].shape).keypoints(torch.full((6, 1, 2), 8.0))
    )
    torch.testing.assert_close(back, torch.full((6, 1, 2), 8.0), atol=1e-3, rtol=0)


def test_a_checkerboard_its_mask_and_its_depth_stay_on_one_another():
    """Quarter turns, mirror images and shifts by whole pixels take pixels to pixels: all modalities agree exactly."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    board = ((rows // 3 + columns // 2) % 2).expand(32, 16, 16)
    rgb = board[:, None].expand(32, 3, 16, 16).float()
    both = MultiModal(
        {"rgb": None, "depth": DepthModality(), "soft": DepthModality(mode="bilinear"), "mask": MaskModality()},
        [Flip(0.5, 0.5), OneOf([Rotation(angle) for angle in (0, 90, 180, 270)]), Translation(2 / 16, -3 / 16)],
    )
    # 0 means "no reading": boards of depths 0.25 and 1.
    depth = 0.25 + 0.75 * board[:, None].float()
    changed = both({"rgb": rgb, "depth": depth, "soft": depth, "mask": board}, torch.Generator().manual_seed(0))
    assert torch.equal(changed["rgb"][:, 0].round().long(), changed["mask"])
    torch.testing.assert_close(changed["rgb"][:, 0].round(), changed["rgb"][:, 0], atol=2e-5, rtol=0)
    seen = changed["depth"][:, 0] > 0
    assert torch.equal(seen, changed["soft"][:, 0] > 0)
    assert seen.sum(dim=(1, 2)).eq(14 * 13).all()
    torch.testing.assert_close(changed["soft"], changed["depth"], atol=2e-5, rtol=0)
    assert torch.equal(changed["depth"][:, 0], torch.where(seen, 0.25 + 0.75 * changed["mask"], 0.0))
    assert len(torch.unique(changed["mask"].flatten(1), dim=0)) == 8


def test_at_any_angle_the_nearest_mask_is_the_warped_one_where_all_neighbours_agree():
    mask = torch.zeros(40, 24, 24, dtype=torch.uint8)
    mask[:, 6:18, 4:14] = 1
    both = MultiModal({"soft": None, "mask": MaskModality()}, [Rotation((-180, 180)), Scale((0.6, 1.6))])
    changed = both({"soft": mask[:, None].float(), "mask": mask}, torch.Generator().manual_seed(0))
    soft = changed["soft"][:, 0]
    sure = (soft > 1 - 1e-4) | (soft < 1e-4)
    assert sure.float().mean() > 0.8
    assert torch.equal(changed["mask"][sure], soft[sure].round().to(torch.uint8))
    # The nearest of four pixels has a bilinear weight of a quarter at least.
    assert (changed["mask"] * (soft < 0.25 - 1e-4)).eq(0).all()
    assert ((1 - changed["mask"]) * (soft > 0.75 + 1e-4)).eq(0).all()


def test_gradients_reach_pixels_and_the_draw():
    both = multimodal([Rotation(), Scale((0.8, 1.2))], mode="bilinear", magnified="divided")
    scene = {name: (0.1 + 0.8 * x).double() for name, x in scenes(2, 5, 6, seed=3).items() if name != "mask"}
    draw = draw_for(both, 2, seed=5)
    u = draw.u.double().requires_grad_()
    inputs = [x.requires_grad_() for x in scene.values()]

    def changed(u, *pictures):
        return tuple(both.apply(dict(zip(scene, pictures, strict=True)), Draw(u, draw.seeds)).values())

    assert torch.autograd.gradcheck(changed, (u, *inputs), eps=1e-7, atol=1e-4, fast_mode=True)
    nearest = multimodal(Rotation())
    moved = nearest.apply({"depth": scene["depth"].detach()}, Draw(u[:, : len(nearest.parameters)], draw.seeds))
    (gradient,) = torch.autograd.grad(moved["depth"].sum(), u, allow_unused=True)
    assert gradient[:, 0].eq(0).all()  # a nearest pixel does not feel the angle


def test_documents_and_pickles_come_back():
    for geometry in GEOMETRIES.values():
        both = multimodal(geometry, mode="bilinear", invalid=0.5)
        pipeline = both.stacked(STACK)
        for again in (from_json(to_json(pipeline)), from_yaml(to_yaml(pipeline)), pickle.loads(pickle.dumps(pipeline))):
            assert again == pipeline
            assert MultiModal.of(again) == both
        assert pickle.loads(pickle.dumps(both)) == both
        assert hash(MultiModal.of(pipeline)) == hash(both)
    with pytest.raises(ValueError, match=r"pipeline must be one that MultiModal.stacked made, got Pipeline"):
        MultiModal.of(Pipeline(Rotation()))


@pytest.mark.parametrize("geometry", ["affine", "chosen", "none"])
def test_ranges_of_all_modalities_can_be_learned(geometry):
    """What has been learned, frozen, draws what the learned ranges place."""
    both = multimodal(GEOMETRIES[geometry])
    pipeline = both.stacked(STACK)
    ranges = LearnableRanges(pipeline, "box")
    x, draw = stacked(scenes()), draw_for(pipeline)
    with torch.no_grad():
        ranges.bounds[0] += 0.25
        ranges.bounds[1] -= 0.125
    frozen = ranges.to_pipeline()
    assert frozen != pipeline
    assert MultiModal.of(frozen).modalities.keys() == both.modalities.keys()
    torch.testing.assert_close(frozen.apply(x, draw), ranges(x, draw), atol=1e-5, rtol=0)
    ranges(x, draw).square().sum().backward()
    assert ranges.bounds.grad.ne(0).any(0).sum() >= 5  # colours, noise and, but for "none", geometry


class Frames(Dataset):
    """Scenes with their numbers."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return {name: x[index] for name, x in scenes(10).items()}, index


@pytest.mark.parametrize("batch_size", [3, 10])
def test_keyed_by_scene_a_loader_gives_the_same_whatever_its_batches(batch_size):
    both = multimodal(GEOMETRIES["affine"])
    expected = both.apply(scenes(10), keyed_draws(both, torch.arange(10) * 0x9E3779B97F4A7C15 % 2**62))
    for batch, numbers in DataLoader(Frames(), batch_size=batch_size):
        changed = both.apply(batch, keyed_draws(both, numbers * 0x9E3779B97F4A7C15 % 2**62))
        assert all(torch.equal(changed[name], expected[name][numbers]) for name in changed)


def test_dtypes_and_layouts_are_kept():
    both, scene = multimodal(GEOMETRIES["affine"]), scenes()
    draw = draw_for(both)
    mixed = {
        "rgb": scene["rgb"].half(),
        "depth": scene["depth"][:, 0].double(),
        "thermal": scene["thermal"].bfloat16(),
        "mask": scene["mask"].to(torch.uint8),
    }
    changed, wide = both.apply(mixed, draw), both.apply(scene, draw)
    for name, x in mixed.items():
        assert changed[name].dtype == x.dtype
        assert changed[name].shape == x.shape
        torch.testing.assert_close(changed[name].double(), wide[name].double().view(x.shape), atol=2e-2, rtol=1e-2)
    empty = both.apply({name: x[:0] for name, x in scene.items()}, draw[:0])
    assert {name: x.shape for name, x in empty.items()} == {name: x[:0].shape for name, x in scene.items()}


def test_global_generators_and_the_given_pictures_are_left_alone():
    scene, state = scenes(), torch.get_rng_state()
    copies = {name: x.clone() for name, x in scene.items()}
    first, second = multimodal(Rotation())(scene), multimodal(Rotation())(scene)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(scene[name], copies[name]) for name in scene)
    assert not torch.equal(first["rgb"], second["rgb"])

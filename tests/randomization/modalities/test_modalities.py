"""Depth without false distances, masks without colours, and errors that name the modality."""

import kornia.augmentation as K  # noqa: N812
import numpy as np
import pytest
import torch

from art_domainrand.randomization import (
    Brightness,
    DepthModality,
    Flip,
    GaussianNoise,
    GridShuffle,
    ImageModality,
    MaskModality,
    MultiModal,
    Perspective,
    Rotation,
    Saturation,
    Scale,
    Shear,
    Sometimes,
    Translation,
)
from art_domainrand.randomization.core.distributions import Constant

SLANTED = [Rotation((-30, 30)), Scale((0.6, 1.6)), Shear()]


def moved(modality, x, geometry, seed=0):
    return MultiModal({"depth": modality}, geometry)({"depth": x}, torch.Generator().manual_seed(seed))["depth"]


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("invalid", [0.0, 1.0])
def test_depth_with_holes_has_no_distance_that_no_surface_has(mode, invalid):
    """A wall at one distance with holes: whatever moves it, every pixel is the wall or has no reading."""
    holes = torch.rand(64, 1, 15, 17, generator=torch.Generator().manual_seed(0)) < 0.3
    wall = torch.where(holes, invalid, 0.625)
    seen = moved(DepthModality(mode=mode, invalid=invalid), wall, SLANTED)
    readings = seen[seen != invalid]
    torch.testing.assert_close(readings, torch.full_like(readings, 0.625))
    assert 0.2 < (seen != invalid).float().mean() < 0.9
    blended = moved(ImageModality(), wall, SLANTED)
    assert len(blended[(blended - 0.625).abs().minimum((blended - invalid).abs()) > 0.05]) > 1000


@pytest.mark.parametrize("invalid", [0.0, 1.0])
@pytest.mark.parametrize(("shift", "reading"), [(0.25, False), (0.45, False), (0.55, True), (0.75, True)])
def test_a_pixel_is_read_where_valid_neighbours_have_half_of_the_weight(shift, reading, invalid):
    """Columns 0 to 7 are valid, at depths that rise; shifted by a part of a pixel, column 8 reads between 7 and 8."""
    depth = torch.full((1, 1, 4, 16), invalid)
    depth[..., :8] = torch.linspace(0.2, 0.9, 8)
    seen = moved(DepthModality(mode="bilinear", invalid=invalid), depth, Translation(shift / 16, 0.0))[0, 0, 0]
    torch.testing.assert_close(seen[8], torch.tensor(0.9 if reading else invalid))
    torch.testing.assert_close(seen[1:8], depth[0, 0, 0, 1:8] - 0.1 * shift, atol=1e-5, rtol=0)  # a mean of neighbours


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_noise_of_the_sensor_makes_no_reading_where_there_is_none(mode):
    holes = torch.rand(8, 1, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.5
    noisy = moved(DepthModality(GaussianNoise(Constant(0.1)), mode), torch.where(holes, 0.0, 0.5), None)
    assert torch.equal(noisy == 0, holes)
    assert noisy[~holes].std() > 0.05


@pytest.mark.parametrize(("word", "power"), [("kept", 0), ("divided", -1), ("multiplied", 1)])
@pytest.mark.parametrize("magnification", [0.5, 0.8, 1.25, 2.0])
def test_distances_follow_a_magnification_as_said(word, power, magnification):
    for mode, invalid in (("nearest", 0.0), ("bilinear", 0.0), ("nearest", 1.0), ("bilinear", 1.0)):
        wall = torch.full((3, 1, 12, 16), 0.25)
        wall[:, :, :, 8:] = invalid
        turned = [Flip(1.0), Rotation((0, 180)), Scale(magnification), Shear(20, 10), Translation()]
        seen = moved(DepthModality(mode=mode, invalid=invalid, magnified=word), wall, turned)
        readings = seen[seen != invalid]
        assert 0 < len(readings) < seen.numel()
        torch.testing.assert_close(readings, torch.full_like(readings, 0.25 * magnification**power))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_beyond_the_image_there_is_no_reading_and_no_label_whatever_images_show_there(padding):
    both = MultiModal(
        {"rgb": None, "depth": DepthModality(), "mask": MaskModality(fill=9), "shown": MaskModality(fill=None)},
        Translation(3 / 8, 0.0, padding=padding),
    )
    columns = torch.arange(1, 9).expand(2, 8, 8)
    pictures = {"rgb": columns[:, None] / 8, "depth": columns[:, None] / 8, "mask": columns, "shown": columns}
    changed = {name: x.view(2, 8, 8)[0, 0] for name, x in both(pictures).items()}
    beyond = {"zeros": [0, 0, 0], "border": [1, 1, 1], "reflection": [4, 3, 2]}[padding]
    assert changed["mask"].tolist() == [9, 9, 9, 1, 2, 3, 4, 5]
    assert changed["shown"].tolist() == [*beyond, 1, 2, 3, 4, 5]
    torch.testing.assert_close(changed["depth"] * 8, torch.tensor([0.0, 0, 0, 1, 2, 3, 4, 5]))
    torch.testing.assert_close(changed["rgb"] * 8, torch.tensor([*beyond, 1.0, 2, 3, 4, 5]), atol=1e-5, rtol=0)


def test_a_stretch_of_one_axis_counts_by_its_area():
    seen = moved(DepthModality(magnified="divided"), torch.full((2, 1, 8, 8), 0.5), Scale(4.0, vertical=1.0))
    torch.testing.assert_close(seen, torch.full_like(seen, 0.25))


def test_a_tilt_counts_by_what_the_moved_image_shows_of_the_scene():
    """The share of the source that is seen, measured by counting the pixels that are read."""
    tilt = MultiModal({"depth": DepthModality(magnified="divided")}, [Scale((1.3, 1.8)), Perspective()])
    draw = tilt.sample(5, torch.Generator().manual_seed(0))
    size = 64
    ones = tilt.apply({"depth": torch.ones(5, 1, size, size)}, draw)["depth"]
    factor = ones.flatten(1).amax(1)
    seen = tilt.inverse(draw, (size, size)).masks(torch.ones(5, size, size))
    torch.testing.assert_close(factor, seen.mean((1, 2)).sqrt(), atol=0.02, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_a_mask_has_no_new_labels(dtype):
    mask = torch.randint(0, 2, (16, 3, 11, 13), generator=torch.Generator().manual_seed(0)).to(dtype)
    both = MultiModal({"mask": MaskModality(fill=0)}, SLANTED)
    changed = both({"mask": mask})["mask"]
    assert changed.dtype == dtype
    assert set(changed.unique().tolist()) <= {0, 1}
    flat = MultiModal({"mask": MaskModality(fill=1)}, Translation(2 / 13, 0.0))({"mask": mask})["mask"]
    assert flat[..., :2].eq(1).all()
    assert torch.equal(flat[..., 2:], mask[..., :-2])


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (
            {"rgb": torch.rand(2, 3, 8, 8), "deph": torch.rand(2, 1, 8, 8)},
            r"among \['rgb', 'depth', 'mask'\], got 'deph'; did you mean 'depth'\?",
        ),
        (
            {"rgb": torch.rand(2, 3, 8, 8), "depth": torch.rand(2, 1, 4, 8)},
            r"pictures must all have the same height and width; resize them first, "
            r"got shapes {'rgb': \(2, 3, 8, 8\), 'depth': \(2, 1, 4, 8\)}",
        ),
        (  # whichever comes first
            {"mask": torch.rand(2, 4, 8), "rgb": torch.rand(2, 3, 8, 8), "depth": torch.rand(2, 1, 4, 8)},
            r"got shapes {'mask': \(2, 4, 8\), 'rgb': \(2, 3, 8, 8\), 'depth': \(2, 1, 4, 8\)}",
        ),
        (
            {"rgb": torch.rand(3, 3, 8, 8), "depth": torch.rand(2, 8, 8)},
            r"of the same number of scenes, got shapes {'rgb': \(3, 3, 8, 8\), 'depth': \(2, 8, 8\)}",
        ),
        (
            {"rgb": torch.rand(2, 3, 8, 8), "depth": torch.rand(2, 8, 8, device="meta")},
            "pictures must be on one device, got {'rgb': 'cpu', 'depth': 'meta'}",
        ),
        ({"rgb": torch.rand(2, 1, 8, 8)}, r"modalities\['rgb'\]: Saturation needs RGB images with 3 channels, got 1"),
        ({"depth": torch.rand(2, 2, 8, 8)}, r"modalities\['depth'\]: channels must be 1"),
        ({"rgb": torch.rand(3, 3, 8, 8)}, r"pictures\['rgb'\] must have 2 scenes, as many as the draw, got 3"),
        ({"depth": torch.ones(2, 8, 8, dtype=torch.int32)}, r"pictures\['depth'\] must be floating"),
        (
            {"rgb": torch.rand(3, 8)},
            r"\['rgb'\] must be a tensor \(B, C, H, W\) or \(B, H, W\), got shape \(3, 8\)",
        ),
        (
            {"mask": torch.zeros(2, 8, 8, dtype=torch.bool)},
            r"fill must be None or a number that torch.bool masks can hold, got 255",
        ),
        ({}, "pictures must be a dictionary of tensors"),
        (torch.rand(2, 3, 8, 8), "pictures must be a dictionary of tensors"),
    ],
)
def test_what_does_not_fit_is_named(pictures, message):
    both = MultiModal({"rgb": [Saturation()], "depth": DepthModality(), "mask": MaskModality(255)}, Rotation())
    with pytest.raises(ValueError, match=message):
        both.apply(pictures, both.sample(2))


def test_a_draw_of_another_pipeline_is_refused():
    both = MultiModal({"rgb": None}, Rotation())
    with pytest.raises(ValueError, match="draw must have 1 coordinates per scene, got 2"):
        both.apply({"rgb": torch.rand(2, 3, 8, 8)}, MultiModal({"rgb": None}, Flip()).sample(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiModal({}), "modalities must be a dictionary with at least one modality"),
        (lambda: MultiModal({"rgb": [Rotation()]}), r"modalities\['rgb'\]: change must not move pixels, got Rotation"),
        (lambda: MultiModal({"rgb": K.RandomAffine(10.0)}), r"modalities\['rgb'\]: change must not move pixels"),
        (lambda: MultiModal({"rgb": None}, [Rotation(), Brightness()]), "geometry must move pixels .* got Brightness"),
        (lambda: MultiModal({"rgb": None}, K.RandomAffine(10.0)), "labels cannot follow .*not tracked"),
        (lambda: DepthModality([Saturation()]), "Saturation needs RGB images with 3 channels, got 1"),
        (lambda: DepthModality(mode="bicubic"), 'mode must be "nearest" or "bilinear", got \'bicubic\''),
        (lambda: DepthModality(magnified="zoomed"), "magnified must be one of"),
        (lambda: DepthModality(invalid=float("nan")), "invalid must be a finite number, got nan"),
        (lambda: ImageModality(mode="area"), "mode must be None or one of"),
        (lambda: MaskModality(mode="bicubic"), 'mode must be "nearest" or "bilinear"'),
        (lambda: MaskModality(fill=float("inf")), "fill must be a finite number"),
        (
            lambda: MultiModal({"depth": DepthModality(magnified="divided")}, Sometimes(GridShuffle())),
            r"geometry must move the image as a whole, as the distances of modalities\['depth'\] follow",
        ),
        (lambda: MultiModal({"rgb": None}).stacked({"rbg": 3}), r"did you mean 'rgb'\?"),
        (lambda: MultiModal({"rgb": None}).stacked({}), "channels must be a dictionary"),
        (lambda: MultiModal({"rgb": None}).stacked({"rgb"}), r"channels must be a dictionary .* got \{'rgb'\}"),
        (lambda: MultiModal({"rgb"}), r"modalities must be a dictionary .* got \{'rgb'\}"),
        (lambda: MultiModal({"rgb": None}).stacked({"rgb": 0}), r"channels\['rgb'\] must be an int >= 1, got 0"),
        (lambda: MultiModal({"rgb": Saturation()}).stacked({"rgb": 1}), r"modalities\['rgb'\]: Saturation needs RGB"),
        (lambda: MultiModal({"z": DepthModality()}).stacked({"z": 2}), r"modalities\['z'\]: channels must be 1"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_empty_list_of_transforms_is_none():
    assert MultiModal({"rgb": [], "mask": MaskModality()}, []) == MultiModal({"rgb": None, "mask": MaskModality()})
    assert ImageModality([]) == ImageModality()
    with pytest.raises(TypeError, match=r"modalities\['rgb'\]: a pipeline takes transforms"):
        MultiModal({"rgb": np.zeros(3)})


LAST = {"rgb": torch.rand(2, 8, 9, 3), "depth": torch.rand(2, 8, 9, 1), "mask": torch.zeros(2, 8, 9)}


@pytest.mark.parametrize("names", [("rgb", "mask"), ("mask", "rgb"), ("depth",), ("rgb", "depth", "mask")])
def test_channels_that_stand_last_are_said_of_the_picture_that_has_them(names):
    both = MultiModal({"rgb": None, "depth": DepthModality(), "mask": MaskModality()}, Rotation())
    wrong = next(name for name in names if name != "mask")
    rule = rf"^pictures\['{wrong}'\] must be \(B, C, H, W\), got shape \(2, 8, 9, .* permute\(0, 3, 1, 2\) it$"
    with pytest.raises(ValueError, match=rule):
        both({name: LAST[name] for name in names})
    first = {name: x.permute(0, 3, 1, 2) if x.dim() == 4 else x for name, x in LAST.items() if name in names}
    assert set(both(first)) == set(names)


@pytest.mark.parametrize("name", ["rgb", "{rgb}"])
def test_channels_that_stand_last_in_the_only_picture_are_doubtful(name):
    with pytest.warns(RuntimeWarning, match=rf"^pictures\['{name}'\] should be \(B, C, H, W\), got shape"):
        assert MultiModal({name: None}, Rotation())({name: LAST["rgb"]})[name].shape == (2, 8, 9, 3)


def test_a_stack_takes_its_number_of_channels():
    pipeline = MultiModal({"rgb": None, "depth": DepthModality()}, Rotation()).stacked({"rgb": 3, "depth": 1})
    assert pipeline.takes(4)
    assert not pipeline.takes(3)
    with pytest.raises(ValueError, match=r"x must have 4 channels \(rgb 3, depth 1\), got 3"):
        pipeline(torch.rand(2, 3, 8, 8))


def test_a_mask_takes_no_colours():
    with pytest.raises(TypeError, match="change"):
        MaskModality(change=[Brightness()])

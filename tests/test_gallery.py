"""The contact sheet: every entry is there, in its place, and is the changed image."""

import numpy as np
import pytest
import torch
from PIL import Image

from art_domainrand.gallery import LABEL, MARGIN, TITLE, draw_sheet, most_even, most_visible, save_gallery, square_image
from art_domainrand.randomization import CORRUPTIONS, DOMAINS, MIXING, TRANSFORMS, Brightness, corrupt, domain_mapping

SIZE = 32


@pytest.fixture
def photo(tmp_path):
    """Wider than high, with black beside its middle square."""
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[:, 10:50] = np.random.default_rng(0).integers(60, 256, (40, 40, 3))
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def tile(sheet, row, column, titles):
    """The pixels of one tile; ``titles`` are those above it."""
    left = MARGIN + column * (SIZE + MARGIN)
    top = MARGIN + titles * TITLE + row * (SIZE + MARGIN + LABEL)
    return np.asarray(sheet)[top : top + SIZE, left : left + SIZE]


def levels(x):
    return (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def test_the_whole_catalogue_is_drawn(tmp_path, photo):
    count = save_gallery(tmp_path / "gallery.png", photo, size=SIZE)
    tables = (TRANSFORMS, MIXING, CORRUPTIONS, DOMAINS)
    assert count == sum(map(len, tables))
    rows = 1 + sum(-(-len(table) // 9) for table in tables)
    with Image.open(tmp_path / "gallery.png") as sheet:
        assert sheet.size == (MARGIN + 9 * (SIZE + MARGIN), 2 * MARGIN + 5 * TITLE + rows * (SIZE + MARGIN + LABEL))


def test_tiles_are_the_image_and_what_each_entry_makes_of_it(tmp_path, photo):
    assert save_gallery(tmp_path / "gallery.png", photo, ["fog", "negative", "invert"], size=SIZE) == 5
    x = square_image(photo, SIZE)
    with Image.open(tmp_path / "gallery.png") as sheet:
        assert (tile(sheet, 0, 0, titles=1) == levels(x[0])).all()
        # "invert" and "fog" are transforms, in the order of the table.
        assert (tile(sheet, 1, 0, titles=2) == levels(most_visible(TRANSFORMS["invert"](), x))).all()
        assert (tile(sheet, 2, 0, titles=3) == levels(corrupt(x, "fog", severity=3, seed=0)[0])).all()
        assert (tile(sheet, 3, 0, titles=4) == levels(domain_mapping(x, "fog", severity=5, seed=0)[0])).all()
        assert (tile(sheet, 3, 1, titles=4) == levels(1 - x[0])).all()


def test_the_draw_that_changes_most_is_shown():
    x = torch.full((1, 3, 8, 8), 0.5)
    shown = most_visible(Brightness((-0.4, 0.4)), x) - x[0]
    draws = [most_visible(Brightness(shift), x) - x[0] for shift in (0.0, 0.3)]
    assert shown.abs().mean() > 0.3 > draws[0].abs().mean() + 0.2
    torch.testing.assert_close(draws[1], torch.full((3, 8, 8), 0.3))


@pytest.mark.parametrize("name", MIXING)
def test_two_images_are_mixed_by_halves(name):
    x = torch.zeros(1, 3, SIZE, SIZE)
    mixed, of_white = most_even(MIXING[name](), x), most_even(MIXING[name](), 1 - x)
    kept = (of_white - mixed).mean()  # black and white differ by 1 where the image is kept
    assert 0.3 < kept < 0.7
    assert mixed.max() > 0.1, "the flower"
    assert torch.equal(mixed, most_even(MIXING[name](), x))


def test_the_middle_square_is_taken(photo):
    assert square_image(photo, SIZE).min() > 0.1
    assert square_image(None, SIZE).shape == (1, 3, SIZE, SIZE)


def test_every_label_is_written_below_its_tile_and_stays_in_its_column():
    names = ["a", "uneven_illumination_of_a_very_long_name", "b"]
    sheet = draw_sheet([("Section", {name: torch.ones(3, 120, 120) for name in names})])
    dark = np.asarray(sheet.convert("L")) < 128
    top = MARGIN + TITLE + 120
    label = dark[top : top + LABEL]
    for column in range(3):
        assert label[:, MARGIN + column * 130 : MARGIN + column * 130 + 120].any()
    assert dark[MARGIN : MARGIN + TITLE].any(), "the title"
    assert not dark[top + LABEL :].any()
    columns = np.flatnonzero(label.any(axis=0))
    gaps = np.split(columns, np.flatnonzero(np.diff(columns) > 30) + 1)
    assert len(gaps) == 3, "a long name is made smaller, and does not run into its neighbours"


def test_the_same_arguments_give_the_same_file(tmp_path, photo):
    for name in ("a.png", "b.png"):
        save_gallery(tmp_path / name, photo, ["rotation", "snow"], size=SIZE)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_bad_arguments_name_the_rule_and_the_value(tmp_path, photo):
    out = tmp_path / "gallery.png"
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"names must be among \['rotation', .*'sim_texture'\], got 'fgo'"):
        save_gallery(out, photo, ["fgo"])
    with pytest.raises(ValueError, match="image must be an image file, got"):
        save_gallery(out, tmp_path / "text.png")
    with pytest.raises(FileNotFoundError):
        save_gallery(out, tmp_path / "missing.png")
    with pytest.raises(ValueError, match=r"out must end in .png, .jpg or another suffix of an image, got"):
        save_gallery(tmp_path / "gallery.txt", photo)
    with pytest.raises(ValueError, match="size must be an int >= 16, got 8"):
        save_gallery(out, photo, size=8)
    assert not out.exists()

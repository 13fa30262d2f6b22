"""The one reader: every mode of Pillow in [0, 1], upright, and one kind of error for what is broken."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from art_domainrand.augment.image import read_image
from art_domainrand.data import to_array
from art_domainrand.gallery import square_image
from art_domainrand.images import image_pixels, open_image, upright_image

RAMP = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(content):
    return image_pixels(upright_image(open_image(content)))


def turned(image, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, kind, exif=exif.tobytes(), **({"quality": 100} if kind == "JPEG" else {}))


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.fromarray(RAMP), "PNG"),
        encoded(Image.fromarray(RAMP), "TIFF"),
        encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
        b"P5 8 8 65535\n" + RAMP.astype(">u2").tobytes(),  # a PGM file, which Pillow 10 reads and does not write
        encoded(Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF"),
    ],
    ids=["PNG", "TIFF", "TIFF of 32 bits", "PGM", "floating TIFF"],
)
def test_sixteen_bits_and_floating_pixels_keep_their_values(content):
    x = read(content)
    assert x.shape == (1, 8, 8)
    assert x.dtype == np.float32
    assert np.abs(x[0] - RAMP / 65535).max() < 1e-6


def test_big_endian_pixels_are_read_alike():
    image = Image.frombytes("I;16B", (8, 8), RAMP.astype(">u2").tobytes())
    assert np.abs(image_pixels(upright_image(image))[0] - RAMP / 65535).max() < 1e-6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright_as_pillow_turns_them(kind, orientation):
    stored = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)).resize((32, 16))
    content = turned(stored, orientation, kind)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    assert np.array_equal(np.round(read(content).transpose(1, 2, 0) * 255), expected)
    assert expected.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))


def test_a_broken_exif_block_turns_nothing():
    content = encoded(Image.new("RGB", (8, 4), (255, 0, 0)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert read(content).shape == (3, 4, 8)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_white_and_black_of_every_mode(mode):
    both = Image.fromarray(np.array([[0, 255]], dtype=np.uint8))
    image = both.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, "RGB" if mode in ("HSV", "YCbCr") else mode))
    x = image_pixels(upright_image(image.convert(mode)))
    assert len(x) == (1 if mode in ("1", "L", "LA", "La") else 3)
    assert np.abs(x[:, 0] - [0, 1]).max() < 0.01


def test_transparency_is_dropped_and_an_animation_is_its_first_frame():
    clear = Image.new("RGBA", (4, 4), (255, 0, 51, 0))
    assert read(encoded(clear))[:, 0, 0] == pytest.approx([1, 0, 0.2])
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 51])
    assert read(encoded(palette, transparency=1))[:, 0, 0] == pytest.approx([1, 0, 0.2])
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    assert read(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))[:, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 2), 255, np.float32), r"floating pixels must lie within \[0, 1\], got 255 to 255"),
        (np.full((2, 2), np.nan, np.float32), r"floating pixels must lie within \[0, 1\], got nan to nan"),
        (np.full((2, 2), 70000, np.int32), r"pixels of mode I must be in \[0, 65535\], got 70000 to 70000"),
        (np.full((2, 2), -1, np.int32), r"pixels of mode I must be in \[0, 65535\], got -1 to -1"),
    ],
)
def test_pixels_of_unknown_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        upright_image(Image.fromarray(values))


def test_eight_bits_in_a_wide_mode_are_doubted():
    with pytest.warns(UserWarning, match='largest is 200; convert images of 8 bits to mode "L"'):
        upright_image(Image.new("L", (2, 2), 200).convert("I"))


def test_what_is_broken_has_one_error_and_what_is_no_image_another(tmp_path):
    whole = encoded(Image.fromarray(RAMP))
    with pytest.raises(UnidentifiedImageError):
        open_image(b"no image")
    with pytest.raises(UnidentifiedImageError, match="HDF5"):
        open_image(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for broken in (whole[: len(whole) // 2], whole[:60] + bytes(40) + whole[100:]):
        with pytest.raises(ValueError, match=r"."):
            open_image(broken)
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "missing.png")
    with pytest.raises(IsADirectoryError):
        open_image(tmp_path)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("deep", [False, True])
def test_all_four_readers_see_the_same_image(tmp_path, orientation, deep):
    image = Image.fromarray(RAMP if deep else (RAMP // 257).astype(np.uint8))
    content = turned(image, orientation, "PNG")
    (tmp_path / "x.png").write_bytes(content)
    expected = {1: RAMP, 3: RAMP[::-1, ::-1], 6: np.rot90(RAMP, -1)}[orientation] / 65535
    by_data = to_array(open_image(content))
    by_augment, options = read_image(content, grey=True)
    by_gallery = square_image(tmp_path / "x.png", 8 * 4)
    assert np.abs(by_data[0] - expected).max() < 0.004
    assert np.array_equal(by_augment[0].numpy(), by_data)
    assert options == {}, "an upright copy has no tag"
    centres = by_gallery[0].reshape(3, 8, 4, 8, 4).mean((2, 4))
    assert np.abs(centres.numpy() - expected).max() < 0.08

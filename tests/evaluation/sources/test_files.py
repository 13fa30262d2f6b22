"""Arrays and images on disk: read as they are, and nothing in them run or believed."""

import pickle
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from art_domainrand.data import image_folder
from art_domainrand.evaluation.sources import files, folders, open_data
from art_domainrand.images import open_image

RNG = np.random.default_rng(0)
X, Y = RNG.random((6, 3, 4, 5), dtype=np.float32), np.array([0, 2, 1, 1, 0, 2])
SOME = np.array([4, 1, 1])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_is_its_arrays(save, tmp_path):
    save(tmp_path / "a.npz", x=X, y=Y, classes=np.array(["a", "b", "c"]), other=np.zeros(3))
    source = open_data(f"npz:{tmp_path / 'a.npz'}")
    assert isinstance(source.x, np.memmap) == (save is np.savez)
    assert np.array_equal(source.read(SOME).x, X[SOME])
    assert np.array_equal(source.read(SOME).y, Y[SOME])
    assert source.classes == ("a", "b", "c")
    assert source.digest() == open_data((X, Y)).digest()


@pytest.mark.parametrize("order", ["C", "F"])
def test_eight_bit_images_with_channels_last_are_turned(order, tmp_path):
    x = RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=np.asarray(x, order=order), y=Y)
    source = open_data(f"npz:{tmp_path / 'a.npz'}")
    assert source.shape == (3, 4, 5)
    assert source.unit
    assert np.array_equal(source.read(SOME).x, np.moveaxis(x[SOME], -1, 1) / np.float32(255))


class Bomb:
    """Would run when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def header(shape, dtype="<f4"):
    """The beginning of an NPY file of any shape."""
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def zipped(path, x, y, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", y)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_pickles_and_claims_are_refused(compression, tmp_path):
    path = tmp_path / "a.npz"
    y = header((2,), "<i8") + bytes(16)
    zipped(path, header((2,), "|O") + pickle.dumps(Bomb()), y, compression)
    with pytest.raises(ValueError, match="hold numbers, no objects"):
        open_data(f"npz:{path}")
    zipped(path, header((10**9, 3, 224, 224)) + bytes(100), y, compression)
    with pytest.raises(ValueError, match="be as large as it says"):
        open_data(f"npz:{path}")
    zipped(path, b"nonsense", y, compression)
    with pytest.raises(ValueError, match="magic"):
        open_data(f"npz:{path}")


def test_an_array_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_MEMBER", X.nbytes - 1)
    np.savez_compressed(tmp_path / "a.npz", x=X, y=Y)
    with pytest.raises(ValueError, match="hold at most"):
        open_data(f"npz:{tmp_path / 'a.npz'}")
    np.savez(tmp_path / "b.npz", x=X, y=Y)  # mapped
    assert len(open_data(f"npz:{tmp_path / 'b.npz'}")) == 6


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY"])
def test_what_is_no_archive_is_refused(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="data must be an NPZ file"):
        open_data(f"npz:{tmp_path / 'a.npz'}")


def test_missing_arrays_and_files_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", images=X, y=Y)
    with pytest.raises(ValueError, match=r"hold arrays x and y.*\['images', 'y'\]"):
        open_data(f"npz:{tmp_path / 'a.npz'}")
    for kind in ("npz", "imagefolder", "cifar10c"):
        with pytest.raises(ValueError, match="name what exists, got"):
            open_data(f"{kind}:{tmp_path / 'missing'}")
        with pytest.raises(ValueError, match="no path"):
            open_data(kind)


def test_cifar10c_is_read_as_its_authors_lay_it_out(tmp_path):
    images = {name: RNG.integers(0, 256, (10, 4, 4, 3), dtype=np.uint8) for name in ("fog", "blur")}
    for name, x in images.items():
        np.save(tmp_path / f"{name}.npy", x)
    labels = np.tile([3, 7], 5)
    np.save(tmp_path / "labels.npy", labels)
    source = open_data(f"cifar10c:{tmp_path}")
    part = source.read(np.array([0, 13]))  # blur comes first, then fog; two images at each of five severities
    assert len(source) == 20
    assert np.array_equal(part.x[1], np.moveaxis(images["fog"][3], -1, 0) / np.float32(255))
    assert part.names == ("blur/1/0", "fog/2/1")
    assert part.y.tolist() == [3, 7]
    assert source.classes[3] == "cat"
    one = open_data(f"cifar10c:{tmp_path / 'fog.npy'}")
    assert np.array_equal(one.read(np.array([3])).x[0], part.x[1])
    np.save(tmp_path / "fog.npy", np.array([Bomb()]), allow_pickle=True)
    with pytest.raises(ValueError, match="arrays that can be read"):
        open_data(f"cifar10c:{tmp_path}")


@pytest.fixture
def mixed(tmp_path):
    """A folder of images of every kind and size."""
    pixels = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    Image.fromarray(pixels).save(tmp_path / "cat" / "a.png")
    Image.fromarray(pixels).convert("L").save(tmp_path / "cat" / "b.jpg")
    Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "cat" / "c.png")
    Image.fromarray(pixels).convert("RGBA").save(tmp_path / "dog" / "d.webp", lossless=True)
    Image.fromarray(pixels).quantize(16).save(tmp_path / "dog" / "e.bmp")
    Image.fromarray(pixels).resize((30, 9)).save(tmp_path / "dog" / "f.tiff")
    return tmp_path


def test_a_folder_of_mixed_formats_and_sizes(mixed):
    source = open_data(f"imagefolder:{mixed}", shape=(3, 5, 5))
    part = source.read(np.arange(len(source)))
    assert part.x.shape == (6, 3, 5, 5)
    assert 0 <= part.x.min() < part.x.max() <= 1
    assert part.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.names[3] == "dog/d.webp"
    assert source.classes == ("cat", "dog")
    assert open_data(f"imagefolder:{mixed}", shape=(1, 5, 5)).read(np.arange(6)).x.shape == (6, 1, 5, 5)


def test_images_of_one_size_are_those_of_the_arrays_data_set(mixed):
    (mixed / "dog" / "f.tiff").unlink()
    source = open_data(f"imagefolder:{mixed}", shape=(3, 6, 8))
    assert np.array_equal(source.read(np.arange(5)).x, image_folder(mixed).x)


def test_an_image_is_cut_around_its_middle_to_the_proportions_that_are_wanted(tmp_path):
    (tmp_path / "a").mkdir()
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 255
    Image.fromarray(pixels).save(tmp_path / "a" / "wide.png")
    assert (open_data(f"imagefolder:{tmp_path}", shape=(3, 4, 4)).read(np.array([0])).x == 1).all()


def test_a_broken_image_is_named_and_an_absurd_one_refused(mixed, monkeypatch):
    whole = open_data(f"imagefolder:{mixed}", shape=(3, 5, 5))
    (mixed / "dog" / "e.bmp").write_bytes(b"BM nonsense")
    with pytest.raises(ValueError, match=r"can be read, got '.*e.bmp'"):
        whole.read(np.array([4]))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(ValueError, match="could be decompression bomb"):
        whole.read(np.array([0]))
    with pytest.raises(ValueError, match="bomb"):
        open_image(mixed / "cat" / "a.png")


def test_a_folder_is_known_by_its_files(mixed):
    before = open_data(f"imagefolder:{mixed}", shape=(3, 5, 5)).digest()
    assert open_data(f"imagefolder:{mixed}", shape=(3, 5, 5)).digest() == before
    (mixed / "dog" / "d.webp").rename(mixed / "dog" / "g.webp")
    assert open_data(f"imagefolder:{mixed}", shape=(3, 5, 5)).digest() != before


@pytest.mark.parametrize("make", [lambda p: None, lambda p: (p / "a").mkdir(), lambda p: (p / "a.txt").write_text("")])
def test_a_folder_without_images_is_refused(make, tmp_path):
    make(tmp_path)
    with pytest.raises(ValueError, match="data must hold"):
        open_data(f"imagefolder:{tmp_path}")


@pytest.mark.parametrize("most", [1 << 28, 1600])
def test_a_folder_of_other_images_of_the_same_sizes_is_another(most, tmp_path, monkeypatch):
    """Bitmaps have a size that says nothing of their pixels; of a large folder a few files are looked into."""
    monkeypatch.setattr(folders, "MOST_HASHED", most)
    (tmp_path / "a").mkdir()
    for k in range(3):
        Image.fromarray(np.full((8, 8), k, np.uint8)).save(tmp_path / "a" / f"{k}.bmp")
    before = open_data(f"imagefolder:{tmp_path}").digest()
    assert open_data(f"imagefolder:{tmp_path}").digest() == before
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "a" / "1.bmp")
    assert open_data(f"imagefolder:{tmp_path}").digest() != before


def test_sets_that_have_not_been_downloaded_are_not(tmp_path):
    for name in ("cifar10", "mnist", "fashion_mnist"):
        with pytest.raises(ValueError, match=f"download it, or write {name}:DIR"):
            open_data(f"{name}:{tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_digits_have_the_side_that_is_asked_for():
    assert open_data("digits:8").shape == (1, 8, 8)
    assert len(open_data("digits")) == 397

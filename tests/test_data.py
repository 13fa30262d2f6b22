"""Data: digits, image folders and torchvision data sets as arrays."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import Subset
from torchvision.datasets import FakeData, ImageFolder

from art_domainrand.data import LabelledImages, digits, from_torchvision, image_folder, to_array


class Pairs:
    """A map-style data set of (image, label) pairs."""

    def __init__(self, images, labels, classes=("a", "b")):
        self.images, self.labels, self.classes = images, labels, classes

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


def grey(level, size=(4, 3)):
    return Image.new("L", size, level)


def test_digits_are_float_images_in_the_unit_range():
    train, test = digits()
    assert (len(train), len(test)) == (1400, 397)
    for part in (train, test):
        assert part.x.shape[1:] == (1, 28, 28)
        assert part.x.dtype == np.float32
        assert part.y.dtype == np.int64
        assert part.x.min() == 0
        assert 0.9 < part.x.max() <= 1
    assert train.classes == tuple("0123456789")


def test_digits_of_eight_pixels_are_the_originals_each_once():
    train, test = digits(size=8)
    raw, labels = load_digits(return_X_y=True)
    ours = np.column_stack([np.concatenate([p.x.reshape(len(p), -1) * 16 for p in (train, test)]), [*train.y, *test.y]])
    theirs = np.column_stack([raw, labels])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_digits_are_split_by_class_and_seed():
    _, first = digits(seed=0)
    _, again = digits(seed=0)
    _, other = digits(seed=1)
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)
    share = np.bincount(first.y) / np.bincount(load_digits().target)
    assert np.abs(share - 397 / 1797).max() < 0.01


@pytest.mark.parametrize(
    ("options", "message"), [({"size": 0}, "size must be >= 1, got 0"), ({"test": 5}, "test must")]
)
def test_digits_refuse_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        digits(**options)


def test_an_image_folder_is_read_in_order_of_classes(tmp_path):
    for name, level in (("zebra", 51), ("ant", 204)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 3), (level, 0, 255)).save(tmp_path / name / "1.png")
    found = image_folder(tmp_path)
    assert found.classes == ("ant", "zebra")
    assert found.y.tolist() == [0, 1]
    assert found.x.shape == (2, 3, 3, 4)
    assert found.x[:, :, 0, 0] == pytest.approx(np.array([[0.8, 0, 1], [0.2, 0, 1]]))
    assert image_folder(tmp_path, size=8).x.shape == (2, 3, 8, 8)


def test_an_image_folder_must_be_one(tmp_path):
    with pytest.raises(ValueError, match=r"root must be a folder .* got '.*missing'"):
        image_folder(tmp_path / "missing")
    with pytest.raises(ValueError, match="root must hold images in one sub-folder per class"):
        image_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="root must hold images in one sub-folder per class"):
        image_folder(tmp_path)


def test_a_limit_chooses_at_random_by_seed():
    dataset = Pairs([grey(level) for level in range(100)], [0] * 100)
    some = from_torchvision(dataset, limit=10)
    assert len(some) == 10
    assert np.array_equal(some.x, from_torchvision(dataset, limit=10).x)
    assert not np.array_equal(some.x, from_torchvision(dataset, limit=10, seed=1).x)
    assert len(np.unique(some.x)) == 10
    assert some.x.max() > 20 / 255  # not simply the first ten
    assert len(from_torchvision(dataset, limit=1000)) == 100


def test_a_torchvision_data_set_without_class_names_needs_them():
    dataset = FakeData(size=5, image_size=(3, 6, 7), num_classes=4)
    with pytest.raises(ValueError, match="classes must be given"):
        from_torchvision(dataset)
    assert from_torchvision(dataset, classes="abcd").x.shape == (5, 3, 6, 7)


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (Pairs([grey(0), grey(0, (5, 5))], [0, 1]), {}, "size must be given for images of different shapes"),
        (Pairs([grey(0)], [2]), {}, r"y must be in \[0, 2\), got 2 to 2"),
        (Pairs([], []), {}, "dataset must hold at least one image"),
        (Pairs([grey(0)], [0]), {"limit": 0}, "limit must be None or >= 1, got 0"),
        (Pairs([grey(0)], [0]), {"size": -1}, "size must be None or >= 1, got -1"),
    ],
)
def test_a_bad_data_set_is_refused(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        from_torchvision(dataset, **options)


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("LA", 1), ("RGB", 3), ("P", 3), ("RGBA", 3), ("CMYK", 3)]
)
def test_every_image_mode_becomes_grey_or_rgb(mode, channels):
    array = to_array(Image.new("L", (4, 3), 255).convert(mode))
    assert array.shape == (channels, 3, 4)
    assert array.dtype == np.float32
    assert np.all(array == 1)


def test_grey_images_beside_coloured_ones_become_rgb():
    found = from_torchvision(Pairs([grey(51), Image.new("RGB", (4, 3), (255, 0, 51))], [0, 1]))
    assert found.x.shape == (2, 3, 3, 4)
    assert found.x[:, :, 0, 0] == pytest.approx(np.array([[0.2, 0.2, 0.2], [1, 0, 0.2]]))


def test_deep_and_turned_files_of_an_image_folder_are_read_as_they_look(tmp_path):
    (tmp_path / "a").mkdir()
    levels = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(levels).save(tmp_path / "a/1.png")
    Image.fromarray((levels / 65535).astype(np.float32)).save(tmp_path / "a/2.tif")
    Image.fromarray((levels // 257).astype(np.uint8).T[::-1].copy()).save(tmp_path / "a/3.png", exif=exif.tobytes())
    whole = ImageFolder(str(tmp_path))
    for found in (
        image_folder(tmp_path),
        from_torchvision(whole),
        from_torchvision(Subset(whole, [0, 1, 2]), classes="a"),
    ):
        assert found.x.shape == (3, 3, 3, 4)
        for k, error in enumerate((1e-6, 1e-6, 0.004)):
            assert np.abs(found.x[k] - levels / 65535).max() <= error
    small = image_folder(tmp_path, size=2).x
    assert np.abs(small[0] - small[1]).max() < 1e-6


def test_a_broken_file_of_an_image_folder_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").write_text("no image")
    with pytest.raises(ValueError, match=r"dataset must hold images that can be read, got '.*a/1.png'"):
        image_folder(tmp_path)


def test_a_data_set_of_tensors_is_told_to_give_images():
    with pytest.raises(ValueError, match=r"dataset must give PIL images, .* got ndarray"):
        from_torchvision(Pairs([np.zeros((3, 3))], [0]))


def test_images_and_labels_must_fit():
    x = np.zeros((2, 1, 3, 3), np.float32)
    with pytest.raises(ValueError, match=r"y must have shape \(2,\)"):
        LabelledImages(x, np.zeros(3, np.int64), ("a",))
    with pytest.raises(ValueError, match=r"x must be \(N, C, H, W\)"):
        LabelledImages(x[0], np.zeros(1, np.int64), ("a",))
    some = LabelledImages(x, np.array([0, 1]), ("a", "b"))[np.array([False, True])]
    assert some.y.tolist() == [1]

"""Arrays, tensors and labels in every form."""

import numpy as np
import pytest
import torch

from art_domainrand.data import LabelledImages
from art_domainrand.evaluation.sources import open_data
from art_domainrand.evaluation.sources.base import label_indices

X = np.random.default_rng(0).random((6, 3, 4, 5), dtype=np.float32)
Y = np.array([0, 2, 1, 1, 0, 2])
SOME = np.array([4, 1, 1])


@pytest.mark.parametrize(
    "y",
    [
        Y,
        Y[:, None],
        np.eye(3)[Y],
        Y.astype(np.float32),
        Y.tolist(),
        torch.from_numpy(Y),
        torch.eye(3)[Y],
        Y.astype("u1"),
    ],
)
def test_labels_in_any_form_are_indices(y):
    found = label_indices(y, 6)
    assert found.dtype == np.int64
    assert np.array_equal(found, Y)


@pytest.mark.parametrize("y", [Y[:5], np.zeros((6, 3, 2)), -Y, Y + 0.5, np.full(6, np.nan), np.array(["a"] * 6)])
def test_what_is_no_label_is_refused(y):
    with pytest.raises((ValueError, TypeError), match="y must hold"):
        label_indices(y, 6)


@pytest.mark.parametrize("x", [X, torch.from_numpy(X), X.astype(np.float64)])
def test_arrays_are_read_at_any_places(x):
    source = open_data((x, Y))
    part = source.read(SOME)
    assert (len(source), source.shape, source.unit) == (6, (3, 4, 5), False)
    assert np.array_equal(part.x, X[SOME])
    assert part.x.dtype == np.float32
    assert np.array_equal(part.y, Y[SOME])
    assert part.names == ("", "", "")


def test_eight_bits_are_shares_and_said_so():
    x = np.arange(6 * 12, dtype=np.uint8).reshape(6, 3, 2, 2)
    with pytest.warns(UserWarning, match="divided by 255"):
        source = open_data((x, Y))
    assert source.unit
    assert np.allclose(source.read(SOME).x * 255, x[SOME], atol=1e-5)


def test_labelled_images_are_in_the_unit_range_and_have_classes():
    source = open_data(LabelledImages(X, Y, ("a", "b", "c")))
    assert source.unit
    assert source.classes == ("a", "b", "c")


def test_a_digest_tells_data_apart():
    other, swapped = X.copy(), Y.copy()
    other[5, 2, 3, 4] += 1e-6
    swapped[0] = 1
    digests = {open_data(pair).digest() for pair in ((X, Y), (other, Y), (X, swapped), (X[:, :, ::-1], Y))}
    assert len(digests) == 4
    assert open_data((torch.from_numpy(X), Y)).digest() != ""
    assert open_data((X.copy(), Y)).digest() in digests


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (X, r"data must come with labels: write \(x, y\)"),
        (torch.from_numpy(X), "data must come with labels"),
        ((X, Y, Y), "data must be a pair"),
        ((X[:0], Y[:0]), "at least one"),
        ((X[:, 0, 0, 0], Y), r"images \(N, ...\)"),
        ((X.astype(complex), Y), "images of numbers"),
        (([[1]], Y), "array or tensor of images, got list"),
        ("mnits", "did you mean 'mnist'"),
        ("digits:big", "digits:SIZE"),
        (7, r"data must be \(x, y\), a data set"),
    ],
)
def test_wrong_data_is_refused_with_what_to_write(data, words):
    with pytest.raises((ValueError, TypeError), match=words):
        open_data(data)


@pytest.mark.parametrize("pixel", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused_where_they_are_read(pixel):
    x = X.copy()
    x[4, 0, 0, 0] = pixel
    source = open_data((x, Y))
    source.read(np.arange(4))
    with pytest.raises(ValueError, match="finite pixels"):
        source.read(SOME)

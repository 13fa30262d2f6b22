"""RandomizedDataGenerator: data sets, loaders, labels, and what it refuses."""

import warnings

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from art_domainrand import DomainMapping
from art_domainrand.randomization import CutMix, Flip, MixUp

from support.estimators import CLASSES, SHAPE, make_classifier
from support.generator import N, Pairs, X, Y, generator, grey, same


def test_workers_and_sources_change_no_bit():
    arrays = list(generator())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # more workers than cores
        sources = {
            "tensors": generator(torch.from_numpy(X), torch.from_numpy(Y)),
            "dataset": generator(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), None),
            "workers": generator(Pairs(), None, num_workers=2, pin_memory=True),
            "loader": generator(DataLoader(Pairs(), batch_size=3, shuffle=True), None),
            "loader with workers": generator(DataLoader(Pairs(), shuffle=True, num_workers=1, prefetch_factor=1), None),
        }
        for name, data in sources.items():
            epochs = [list(data), list(data)]
            assert same(arrays, epochs[0]), name
            assert not same(*epochs), name


def test_a_loader_keeps_its_order():
    in_order = generator(DataLoader(Pairs(), batch_size=5), None, proportions=(1, 0, 0))
    assert np.concatenate([grey(x) for x, _ in in_order]).tolist() == list(range(N))
    batches = [[3, 1], [4], [0, 2]]
    chosen = generator(DataLoader(Pairs(), batch_sampler=batches), None, proportions=(1, 0, 0), batch_size=2)
    assert [grey(x).tolist() for x, _ in chosen] == [[3, 1], [4, 0], [2]]
    assert chosen.size == 6
    weights = [1.0] * 3 + [0.0] * (N - 3)
    sampled = generator(DataLoader(Pairs(), sampler=WeightedRandomSampler(weights, 10)), None, proportions=(1, 0, 0))
    assert set(np.concatenate([grey(x) for x, _ in sampled])) <= {0, 1, 2}
    assert sampled.images == 10
    short = generator(DataLoader(Pairs(), batch_size=8, drop_last=True), None, proportions=(1, 0, 0))
    assert len(short) == 3


def test_a_sampler_is_told_the_epoch():
    class Sampler(list):
        def set_epoch(self, epoch):
            self[:] = [epoch, epoch + 1]

    data = generator(DataLoader(Pairs(), sampler=Sampler([0, 0])), None, proportions=(1, 0, 0), batch_size=2)
    assert [[grey(x).tolist() for x, _ in data] for _ in range(3)] == [[[0, 1]], [[1, 2]], [[2, 3]]]


@pytest.mark.parametrize(
    "labels", [Y, Y[:, None], np.eye(CLASSES, dtype=np.float32)[Y], np.full((N, CLASSES), 0.25), Y.astype(np.float32)]
)
def test_labels_pass_through(labels):
    data = generator(y=labels, proportions=(1, 0, 0))
    for x, y in data:
        assert y.dtype == labels.dtype
        np.testing.assert_array_equal(y, labels[grey(x)])


def test_detections_follow_their_images():
    boxes = [{"boxes": np.array([[0.0, 1.0, 3.0, 4.0]], dtype=np.float32), "labels": np.array([i])} for i in range(N)]
    data = generator(y=boxes, randomization=Flip(1.0), proportions=(1, 1, 0))
    _, y = data.get_batch()
    assert [label["labels"][0] for label in y[:4]] == [label["labels"][0] for label in y[4:]]
    for label in y[:4]:
        np.testing.assert_array_equal(label["boxes"], [[0, 1, 3, 4]])
    for label in y[4:]:
        np.testing.assert_allclose(label["boxes"], [[5, 1, 8, 4]], atol=1e-5)
    loader = DataLoader([(X[i], boxes[i]) for i in range(N)], collate_fn=lambda rows: tuple(zip(*rows, strict=True)))
    _, from_loader = generator(loader, None, randomization=Flip(1.0)).get_batch()
    np.testing.assert_allclose(from_loader[-1]["boxes"], [[5, 1, 8, 4]], atol=1e-5)


@pytest.mark.parametrize("mixing", [MixUp(), CutMix()])
def test_mixing_gives_soft_labels(mixing):
    data = generator(mixing=mixing, nb_classes=CLASSES)
    x, y = data.get_batch()
    assert y.shape == (8, CLASSES)
    np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    assert ((y > 0.01).sum(1) == 2).any()
    assert x.shape == (8, *SHAPE)
    nhwc = generator(np.moveaxis(X, 1, -1), mixing=mixing, nb_classes=CLASSES, channels_first=False)
    np.testing.assert_array_equal(np.moveaxis(nhwc.get_batch()[0], -1, 1), x)


class Endless(IterableDataset):
    def __iter__(self):
        return iter(Pairs())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an int"),
        ({"batch_size": 64, "drop_last": True}, ValueError, "batch_size must be at most that of the 26 images"),
        ({"drop_last": 1}, ValueError, "drop_last must be a bool"),
        ({"attack": "pgd"}, TypeError, "attack must be an attack of ART, got str"),
        ({"attack": FastGradientMethod(make_classifier(), targeted=True)}, ValueError, "attack must be untargeted"),
        ({"mixing": 0.2}, TypeError, "mixing must be None, MixUp or CutMix, got 0.2"),
        ({"randomization": "rotate"}, TypeError, "pipeline takes transforms"),
        (
            {"randomization": DomainMapping("night"), "clip_values": (0, 1)},
            ValueError,
            "clip_values must be None where",
        ),
        ({"seed": -1}, ValueError, "seed must be None or an int >= 0, got -1"),
        ({"shuffle": "yes"}, ValueError, "shuffle must be None, True or False"),
        ({"num_workers": 2}, ValueError, "num_workers must be None or 0 where x is an array, got 2"),
        ({"num_workers": -1}, ValueError, "num_workers must be None or an int >= 0"),
        ({"pin_memory": "cuda"}, ValueError, "pin_memory must be None, True or False"),
        ({"x": X[0, 0]}, ValueError, "x must be 4D images or 5D videos, got float32 of \\(8, 8\\)"),
        ({"x": X[:0]}, ValueError, "x must hold at least one image, got 0"),
        ({"x": [X]}, TypeError, "x must be an array of images, a torch Dataset or a DataLoader, got list"),
        ({"y": None}, ValueError, "y must be given where x is an array"),
        ({"y": Y[:5]}, ValueError, "y must hold one label for each of the 26 images, got 5"),
        ({"x": Pairs()}, ValueError, "y must be None where x is a Dataset"),
        ({"x": Endless(), "y": None}, ValueError, "x must be a dataset with a length and items by position"),
        ({"x": DataLoader(Endless()), "y": None}, ValueError, "read a stream into one first, got Endless"),
        ({"x": DataLoader(Pairs()), "y": None, "shuffle": True}, ValueError, "shuffle must be None where x is a DataL"),
        ({"x": DataLoader(Pairs(), batch_size=None), "y": None}, ValueError, "be a DataLoader that collates batches"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        generator(**options)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X * 3, "x must lie within clip_values"),
        (np.full_like(X, np.nan), "x must be finite"),
    ],
)
def test_bad_pixels_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        list(generator(x))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ([(X[0], 0, 1)], "x must yield pairs \\(image, label\\)"),
        ([(X[0, 0], 0)], "x must yield 3D images or 4D videos, got a batch of shape \\(1, 8, 8\\)"),
        ([(X[0], {"boxes": np.zeros((1, 4))})], "x must yield detections as a list"),
    ],
)
def test_bad_items_of_a_dataset_are_refused(dataset, message):
    with pytest.raises(ValueError, match=message):
        list(generator(DataLoader(dataset), None, batch_size=2))


def test_a_batch_sampler_is_counted_without_drawing_an_order():
    before = torch.get_rng_state()
    loader = DataLoader(Pairs(), batch_sampler=BatchSampler(RandomSampler(Pairs()), 4, drop_last=True))
    data = generator(loader, None, proportions=(1, 0, 0), batch_size=2)
    assert len(data) == 12  # 24 of the 26 images
    assert torch.equal(torch.get_rng_state(), before)


def test_mixing_index_labels_needs_the_number_of_classes():
    with pytest.raises(ValueError, match="nb_classes must be given for a mixing of labels that are indices, got None"):
        next(iter(generator(mixing=MixUp())))

"""Data sets and DataLoaders."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from art_domainrand.evaluation.sources import open_data

X = torch.rand(7, 3, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2, 0])
SOME = np.array([5, 0])


class Listed(Dataset):
    """Gives what it was given."""

    classes = ("a", "b", "c")

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        if isinstance(item, Exception):
            raise item
        return item() if callable(item) else item


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


def eight_bit(image):
    return (image * 255).round().to(torch.uint8)


FORMS = {
    "tensors": ([*zip(X, Y, strict=True)], False),
    "arrays": ([(x.numpy(), int(y)) for x, y in zip(X, Y, strict=True)], False),
    "8 bits": ([(eight_bit(x), int(y)) for x, y in zip(X, Y, strict=True)], True),
    "channels last": ([(eight_bit(x).permute(1, 2, 0).numpy(), y) for x, y in zip(X, Y, strict=True)], True),
    "PIL": ([(Image.fromarray(eight_bit(x).permute(1, 2, 0).numpy()), y) for x, y in zip(X, Y, strict=True)], True),
    "mappings": ([{"img": x, "label": y} for x, y in zip(X, Y, strict=True)], False),
    "one-hot": ([(x, torch.eye(3)[y]) for x, y in zip(X, Y, strict=True)], False),
}


@pytest.mark.parametrize("form", FORMS)
def test_samples_in_every_form(form):
    items, unit = FORMS[form]
    source = open_data(Listed(items))
    part = source.read(SOME)
    assert (len(source), source.shape, source.unit, source.classes) == (7, (3, 4, 4), unit, ("a", "b", "c"))
    assert np.abs(part.x - X[SOME].numpy()).max() <= (0.5 / 255 + 1e-6 if unit else 0)
    assert np.array_equal(part.y, Y[SOME])


def test_a_loader_is_read_in_the_order_of_its_data():
    data = TensorDataset(X, Y)
    assert np.array_equal(open_data(DataLoader(data, batch_size=2)).read(SOME).x, X[SOME])
    with pytest.warns(UserWarning, match="not in that of the DataLoader's RandomSampler"):
        source = open_data(DataLoader(data, shuffle=True))
    assert np.array_equal(source.read(np.arange(7)).x, X)
    assert source.digest() == open_data(data).digest()


def test_what_a_loaders_sampler_leaves_out_stays_out():
    source = open_data(DataLoader(TensorDataset(X, Y), sampler=SubsetRandomSampler([6, 2])))
    assert np.array_equal(source.read(np.arange(2)).x, X[[2, 6]])


def test_a_loaders_own_function_puts_samples_together():
    def halved(samples):
        return torch.stack([x for x, _ in samples]) / 2, torch.tensor([y for _, y in samples])

    source = open_data(DataLoader(TensorDataset(X, Y), collate_fn=halved))
    assert np.array_equal(source.read(SOME).x, X[SOME] / 2)
    assert np.array_equal(source.read(SOME).y, Y[SOME])


def test_a_random_sample_is_the_same_every_time_and_leaves_the_generators_alone():
    source = open_data(Listed([lambda: (torch.rand(1, 2, 2) + np.random.rand(), 0)] * 4))
    before = torch.get_rng_state()
    both, second = source.read(np.array([0, 1])), source.read(np.array([1]))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(both.x[1], second.x[0])
    assert not np.array_equal(both.x[0], both.x[1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Stream(), "a data set with a length"),
        (DataLoader(Stream()), "a data set with a length"),
        (Listed([]), "at least one image"),
        (Listed([3]), r"yield pairs \(image, label\)"),
        (Listed([{"x": 3}]), "yield an image and a label"),
    ],
)
def test_what_is_no_data_set_is_refused(data, words):
    with pytest.raises((ValueError, TypeError), match=words):
        open_data(data)


def test_a_sample_that_cannot_be_read_is_named():
    data = Listed([(X[0], 0), OSError("broken"), (X[0][:, :2], 0)])
    data.samples = [("a.png", 0), ("b.png", 0), ("c.png", 0)]
    source = open_data(Subset(data, [0, 1, 2]))
    assert source.read(np.array([0])).names == ("a.png",)
    with pytest.raises(ValueError, match=r"data must yield sample 1 \(b.png\), got broken"):
        source.read(np.array([0, 1]))
    with pytest.raises(ValueError, match="images of one shape"):
        source.read(np.array([0, 2]))

"""One source of batches: arrays, data sets and loaders give the same run, and a sample's draws are its own."""

import inspect
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler, TensorDataset, WeightedRandomSampler

from art_domainrand import PGD, DomainAdversarialTrainer, RandomizedDataGenerator, fit_randomized, randomized
from art_domainrand.randomization import Brightness, MixUp
from art_domainrand.training.data.epochs import Epochs
from art_domainrand.training.data.sources import open_source
from art_domainrand.training.trainer.options import TrainingOptions

from support.estimators import make_classifier
from support.generator import SHIFT, N, X, Y, generator, grey
from support.trainer import BRIGHT, Inputs, assert_same, corners, trainable, trainer_of, weights


class Images(Dataset):
    """Single images as arrays, as a data set on disk yields them."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], int(self.y[index])


@pytest.mark.parametrize("objective", ["standard", "consistency", "free"])
def test_arrays_data_sets_and_loaders_train_the_same(objective):
    x, y = corners(42)
    sources = [
        (x, y),
        (torch.from_numpy(x), torch.from_numpy(y)),
        (x.astype(np.float64), np.eye(4)[y]),
        (Images(x, y), None),
        (TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), None),
        (DataLoader(Images(x, y), batch_size=5, shuffle=True, num_workers=1), None),
    ]
    trained = []
    for images, labels in sources:
        classifier = trainable()
        trainer = trainer_of(classifier, objective=objective, randomization=BRIGHT)
        trainer.fit(images, labels, batch_size=16, nb_epochs=2, validation_data=(x[:8], y[:8]))
        trained.append((weights(classifier), trainer.history))
    for other, history in trained[1:]:
        assert_same(trained[0][0], other)
        assert history == trained[0][1]


def test_a_loaders_own_order_is_kept_and_8_bits_are_read_as_they_are():
    x, y = corners(12)
    raw = (x * 255).astype(np.uint8)
    classifier = trainable(clip_values=(0, 255))
    inputs = Inputs(classifier.model)
    attack = PGD(classifier, eps=0.0, eps_step=0.1, max_iter=1, verbose=False)
    trainer = DomainAdversarialTrainer(classifier, attack, objective="madry", verbose=False)
    trainer.fit(DataLoader(Images(raw, y), batch_size=5), batch_size=4, nb_epochs=1)
    assert torch.equal(torch.cat(inputs.trained), torch.from_numpy(raw).float())
    inputs.trained.clear()
    trainer.fit(DataLoader(Images(raw, y), batch_size=5, drop_last=True), batch_size=7, nb_epochs=2)
    assert [len(batch) for batch in inputs.trained] == [7, 7]
    with pytest.raises(ValueError, match="batch_size must be at most the 12 images"):
        trainer.fit(DataLoader(Images(raw, y), batch_size=5, drop_last=True), batch_size=13)
    sampler = DistributedSampler(Images(x, y), num_replicas=2, rank=0)
    with pytest.raises(ValueError, match="x must have no DistributedSampler: every process has its part"):
        trainer.fit(DataLoader(Images(raw, y), sampler=sampler))


def test_labels_of_a_data_set_are_checked_batch_by_batch():
    x, y = corners(8)
    with pytest.raises(ValueError, match=r"y must hold class indices in \[0, 4\), got \["):
        trainer_of(trainable()).fit(Images(x, y + 6), nb_epochs=1)
    with pytest.raises(ValueError, match=r"x must have images of shape \(1, 8, 8\)"):
        trainer_of(trainable()).fit(Images(x.transpose(0, 2, 3, 1), y), nb_epochs=1)


@pytest.mark.parametrize("way", ["trainer", "fit_randomized"])
def test_what_is_no_image_trains_without_a_randomization(way):
    x, y = corners(24)
    flat = x.reshape(24, -1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 4))
    classifier = make_classifier(model, optimizer=torch.optim.SGD(model.parameters(), 0.1), input_shape=(64,))
    before = weights(classifier)
    if way == "trainer":
        trainer_of(classifier).fit(flat, y, batch_size=8, nb_epochs=1)
    else:
        fit_randomized(classifier, flat, y, batch_size=8, nb_epochs=1)
    assert not torch.equal(before["0.weight"], weights(classifier)["0.weight"])


# Draws


def drawn(batch_size: int, **options) -> dict[int, float]:
    """By how much each image was brightened in an epoch of the generator."""
    found = {}
    for x, y in generator(y=np.arange(N), batch_size=batch_size, proportions=(0, 1, 0), **options):
        found |= {int(label): float(image[0, 0, 0] - X[label, 0, 0, 0]) for image, label in zip(x, y, strict=True)}
    return found


def test_a_samples_draw_depends_on_neither_batch_size_nor_order():
    assert drawn(3) == pytest.approx(drawn(26), abs=1e-6)
    assert drawn(3) == pytest.approx(drawn(7, shuffle=False), abs=1e-6)
    assert len({round(shift, 4) for shift in drawn(3).values()}) > N - 3


def shown_by_the_trainer(batch_size: int) -> dict[int, list[float]]:
    """The grey value of each image as it is trained on, in two epochs."""
    classifier = trainable(rate=1e-9)
    inputs = Inputs(classifier.model)
    attack = PGD(classifier, eps=0.0, eps_step=0.1, max_iter=1, verbose=False)
    options = {"objective": "madry", "randomization": Brightness((0.0, 0.005)), "verbose": False}
    DomainAdversarialTrainer(classifier, attack, **options).fit(X, Y, batch_size=batch_size, nb_epochs=2)
    found: dict[int, list[float]] = {}
    for image in torch.cat(inputs.trained):
        found.setdefault(int(grey(image[None].numpy() - 0.0025)[0]), []).append(float(image[0, 0, 0]))
    return found


def test_the_trainer_shows_a_sample_the_same_draws_whatever_the_batch_size():
    few, many = shown_by_the_trainer(4), shown_by_the_trainer(26)
    assert few.keys() == many.keys() == set(range(N))
    for index, greys in few.items():
        assert greys == pytest.approx(many[index], abs=1e-6)
        assert greys[0] != greys[1]


def test_a_sample_that_comes_twice_has_two_draws():
    pairs = Images(X, np.arange(N))
    sampler = WeightedRandomSampler([1.0, 1.0] + [0.0] * (N - 2), 24)
    data = generator(DataLoader(pairs, sampler=sampler), None, proportions=(0, 1, 0), batch_size=5)
    shifts = [shift for x, y in data for shift in (x[:, 0, 0, 0] - X[y, 0, 0, 0]).round(5).tolist()]
    assert len(set(shifts)) > 20
    again = generator(proportions=(0, 1, 1), attack=PGD(make_classifier(), eps=0.0), batch_size=8)
    first, _ = again.get_batch()
    np.testing.assert_array_equal(first[:4], first[4:])  # adversarial images are those of the copies


def test_every_row_of_a_batch_is_read_by_one_process():
    epochs = Epochs(open_source(X, np.arange(N)), 8)
    whole = list(epochs.read(0, 5))
    for rank in range(2):
        parts = epochs.read(0, 5, choose=lambda size, rank=rank: torch.arange(size)[rank::2])
        for batch, part in zip(whole, parts, strict=True):
            assert torch.equal(part.keys.ids, batch.keys.ids)
            assert torch.equal(part.x, batch.x[rank::2])
            assert torch.equal(part.y, part.keys.ids[part.rows])
    assert sorted(torch.cat([batch.keys.ids for batch in whole]).tolist()) == list(range(N))
    assert epochs.first(5).y.tolist() == list(range(5))


# Signatures


def test_every_option_of_the_trainer_is_a_field_and_an_argument():
    arguments = inspect.signature(DomainAdversarialTrainer).parameters
    options = [field.name for field in fields(TrainingOptions)]
    assert list(arguments) == ["classifier", "attack", "randomization", *options]
    assert not [p for p in arguments.values() if p.kind is p.VAR_KEYWORD]
    for name in options:
        assert f":param {name}:" in DomainAdversarialTrainer.__doc__


@pytest.mark.parametrize("public", [DomainAdversarialTrainer, RandomizedDataGenerator, fit_randomized, randomized])
def test_signatures_are_written_out_and_documented(public):
    for name, parameter in inspect.signature(public).parameters.items():
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        assert f":param {name}:" in public.__doc__, name


def test_old_names_still_work_with_a_warning():
    x, y = corners(16)
    with pytest.warns(DeprecationWarning, match="pipeline is deprecated, say randomization"):
        data = RandomizedDataGenerator(X, Y, batch_size=8, pipeline=SHIFT, seed=0)
    for got, expected in zip(data, generator(), strict=True):
        np.testing.assert_array_equal(got[0], expected[0])
    classifier = trainable()
    with pytest.warns(DeprecationWarning, match="pipeline is deprecated, say randomization"):
        fit_randomized(classifier, x, y, pipeline=BRIGHT, nb_epochs=1)
    with pytest.warns(DeprecationWarning, match="channels_last is deprecated, say memory_format"):
        trainer = trainer_of(classifier, randomization=BRIGHT, channels_last=True)
    assert trainer.options.memory_format == "channels_last"
    with pytest.warns(DeprecationWarning, match="pipeline is deprecated, say randomization"):
        assert trainer.pipeline is trainer.randomization is BRIGHT


def test_misspelt_names_get_the_nearest_one():
    classifier = trainable()
    for call, near in (
        (lambda: trainer_of(classifier, objektive="madry"), "objective"),
        (lambda: trainer_of(classifier).fit(X, Y, epochs=3), "nb_epochs"),
        (lambda: generator(proportion=(1, 1, 0)), "proportions"),
        (lambda: fit_randomized(classifier, X, Y, batchsize=3), "batch_size"),
        (lambda: randomized(nn.Identity(), SHIFT, clip_value=(0, 1)), "clip_values"),
    ):
        with pytest.raises(TypeError, match=f"did you mean '{near}'"):
            call()


def test_mixing_differs_each_time_a_sampler_shows_a_sample():
    sampler = WeightedRandomSampler([1.0, 1.0] + [0.0] * (N - 2), 24)
    loader = DataLoader(Images(X, np.arange(N) % 2), sampler=sampler)
    data = RandomizedDataGenerator(
        loader, batch_size=4, randomization=SHIFT, proportions=(1, 0, 0), mixing=MixUp(), nb_classes=2, seed=0
    )
    shares = [data.get_batch()[0].reshape(4, -1) for _ in range(6)]
    mixed = {tuple(image.round(5)) for batch in shares for image in batch}
    assert len(mixed) > 8  # of two images


@pytest.mark.parametrize("objective", ["fast", "free"])
def test_one_step_training_is_watched_on_what_a_sampler_shows(objective):
    """More draws than samples, of the last few samples alone."""
    x, y = corners(N)
    sampler = WeightedRandomSampler([0.0] * (N - 4) + [1.0] * 4, 3 * N)
    trainer = trainer_of(trainable(), objective=objective, seed=0)
    trainer.fit(DataLoader(Images(x, y), sampler=sampler), batch_size=8, nb_epochs=1)
    assert len(trainer.history) == 1


def test_a_loaders_timeout_is_for_its_workers():
    loader = DataLoader(Images(X, np.arange(N)), num_workers=1, timeout=9)
    data = RandomizedDataGenerator(loader, batch_size=4, randomization=SHIFT, num_workers=0)
    assert len(data.get_batch()[0]) == 4

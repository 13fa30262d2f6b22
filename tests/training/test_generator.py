"""Batches of originals, fresh copies and adversarial images: exact epochs, exact proportions, seeds, ART's loops."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.data_generators import DataGenerator, PyTorchDataGenerator
from art.defences.trainer import (
    AdversarialTrainer,
    AdversarialTrainerAWPPyTorch,
    AdversarialTrainerFBFPyTorch,
    AdversarialTrainerMadryPGD,
    AdversarialTrainerTRADESPyTorch,
)
from torch.utils.data import DataLoader

from art_domainrand import FGSM, DomainMapping
from art_domainrand.randomization import Brightness, GaussianNoise, Pipeline
from art_domainrand.training.data.generator import RandomizedDataGenerator

from support.estimators import CLASSES, make_classifier
from support.generator import SHIFT, N, Pairs, X, Y, generator, grey, same, trainable


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "proportions", "sources"), [(8, (1, 1, 0), 4), (9, (2, 1, 0), 6), (5, (1, 0, 0), 5)]
)
def test_an_epoch_shows_every_original_once(batch_size, proportions, sources, drop_last):
    data = generator(batch_size=batch_size, proportions=proportions, drop_last=drop_last)
    orders = []
    for _ in range(3):
        seen = []
        for x, y in data:
            originals = min(sources, N - len(seen))
            assert len(x) == len(y)
            np.testing.assert_array_equal(x[:originals], X[grey(x[:originals])])
            np.testing.assert_array_equal(y[:originals], Y[grey(x[:originals])])
            seen += grey(x[:originals]).tolist()
        orders.append(seen)
        assert len(set(seen)) == len(seen) == (N // sources * sources if drop_last else N)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert data.images == N


@pytest.mark.parametrize(
    ("batch_size", "proportions", "rows"), [(8, None, (4, 4, 0)), (12, (1, 2, 0), (4, 8, 0)), (8, (3, 1, 0), (6, 2, 0))]
)
def test_copies_are_randomized_images_of_the_batch_with_their_labels(batch_size, proportions, rows):
    data = generator(batch_size=batch_size, proportions=proportions, randomization=Brightness(0.25))
    assert data.rows == rows
    x, y = data.get_batch()
    assert len(x) == batch_size
    originals, copies = x[: rows[0]], x[rows[0] :]
    source = grey(copies - np.float32(0.25))
    np.testing.assert_allclose(copies, X[source] + 0.25, atol=1e-6)
    np.testing.assert_array_equal(y[rows[0] :], Y[source])
    counts = np.bincount(source, minlength=N)[grey(originals)]
    assert counts.sum() == rows[1]
    assert counts.max() - counts.min() <= 1


def test_randomized_images_alone_show_each_image_once():
    data = generator(batch_size=8, proportions=(0, 1, 0), randomization=Brightness(0.25))
    assert sorted(np.concatenate([grey(x - np.float32(0.25)) for x, _ in data])) == list(range(N))


@pytest.mark.parametrize("attack_type", [FGSM, FastGradientMethod])
@pytest.mark.parametrize(
    ("proportions", "rows"), [((1, 1, 1), (4, 4, 4)), ((2, 2, 1), (5, 5, 2)), ((1, 0, 1), (6, 0, 6))]
)
def test_adversarial_rows_are_the_attack_on_randomized_rows(attack_type, proportions, rows):
    attack = attack_type(make_classifier(), eps=0.05)
    data = generator(batch_size=12, randomization=Brightness(0.25), proportions=proportions, attack=attack)
    assert data.rows == rows
    x, y = data.get_batch()
    clean = x[:4] + np.float32(0.25) if not rows[1] else x[rows[0] : rows[0] + rows[2]]
    if not rows[1]:  # adversarial images of randomized ones that are not in the batch themselves
        clean = np.minimum(x[: rows[0]] + np.float32(0.25), 1)
    expected = attack.generate(clean, y=y[rows[0] + rows[1] :])
    assert not np.array_equal(expected, clean)
    np.testing.assert_array_equal(x[rows[0] + rows[1] :], expected)


def test_an_attack_shows_no_progress_and_is_left_as_found(capsys):
    attack = _pgd(make_classifier())
    attack.set_params(verbose=True)
    generator(batch_size=12, attack=attack).get_batch()
    assert attack.verbose
    assert "PGD" not in capsys.readouterr().err


def test_adversarial_images_follow_the_weights():
    classifier = make_classifier()
    data = generator(batch_size=12, attack=FGSM(classifier, eps=0.05), shuffle=False, randomization=Brightness(0.25))
    before = [x[len(x) * 2 // 3 :] for x, _ in data]
    with torch.no_grad():
        for p in classifier.model.parameters():
            p.neg_()
    assert not any(np.array_equal(a, x[-len(a) :]) for a, (x, _) in zip(before, data, strict=True))


def test_draws_are_new_in_every_epoch_and_repeat_with_the_seed():
    one, two, other = (
        generator(seed=3, shuffle=False),
        generator(seed=3, shuffle=False),
        generator(seed=4, shuffle=False),
    )
    epochs = [list(one) for _ in range(3)]
    assert all(same(a, two) for a in epochs)
    assert not same(epochs[0], other)
    for a in range(3):
        for b in range(a):
            for (x, _), (z, _) in zip(epochs[a], epochs[b], strict=True):
                half = len(x) // 2
                np.testing.assert_array_equal(x[:half], z[:half])
                assert not (x[half:] == z[half:]).any()
    draws = np.concatenate([x[len(x) // 2 :, 0, 0, 0] for x, _ in epochs[0]]) - X[:, 0, 0, 0]
    assert len(np.unique(draws.round(5))) > N - 3
    assert not same(generator(seed=None), generator(seed=None))


def test_copies_and_pickles_take_streams_of_their_own():
    data = generator()
    data.get_batch()
    twins = [copy.deepcopy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data))]
    epochs = [list(twin) for twin in twins] + [list(data)]
    assert not any(same(epochs[a], epochs[b]) for a in range(4) for b in range(a))


def test_get_batch_goes_through_the_epochs():
    one, two = generator(), generator()
    assert same([one.get_batch() for _ in range(3 * len(one))], [batch for _ in range(3) for batch in two])
    x, _ = one.get_batch()
    x += 1  # what a trainer does with a batch is its own
    assert X.max() < 0.7


@pytest.mark.parametrize("batch_size", [8, 12, 60])
@pytest.mark.parametrize("rounding", [np.floor, np.ceil])
def test_the_loops_of_art_go_through_an_epoch_exactly(batch_size, rounding):
    data = generator(batch_size=batch_size, proportions=(1, 0, 0))
    batches = int(rounding(data.size / data.batch_size))
    assert batches == len(data) == -(-N // batch_size)
    for _ in range(2):
        seen = np.concatenate([grey(data.get_batch()[0]) for _ in range(batches)])
        assert sorted(seen) == list(range(N))


TRAINERS = {
    "standard": lambda c: AdversarialTrainer(c, FastGradientMethod(c, eps=0.05), ratio=0.5),
    "ours": lambda c: AdversarialTrainer(c, FGSM(c, eps=0.05), ratio=1.0),
    "madry": lambda c: AdversarialTrainerMadryPGD(c, eps=0.05, eps_step=0.02, max_iter=2).trainer,
    "trades": lambda c: AdversarialTrainerTRADESPyTorch(c, _pgd(c), beta=6.0),
    "awp": lambda c: AdversarialTrainerAWPPyTorch(c, _proxy(), _pgd(c), mode="TRADES", gamma=0.01, beta=6.0, warmup=0),
    "fbf": lambda c: AdversarialTrainerFBFPyTorch(c, eps=0.05),
}


def _pgd(classifier):
    return ProjectedGradientDescent(classifier, eps=0.05, eps_step=0.02, max_iter=2, verbose=False)


def _proxy():
    return trainable()


class Spy(RandomizedDataGenerator):
    """Keeps every batch it gives away."""

    def get_batch(self):
        batch = super().get_batch()
        self.given = [*getattr(self, "given", []), batch]
        return batch


@pytest.mark.parametrize("name", TRAINERS)
def test_trainers_see_new_draws_in_every_epoch(name):
    classifier = trainable()
    before = [p.detach().clone() for p in classifier.model.parameters()]
    data = Spy(X, np.eye(CLASSES, dtype=np.float32)[Y], batch_size=8, randomization=SHIFT, seed=0)
    TRAINERS[name](classifier).fit_generator(data, nb_epochs=2)
    assert len(data.given) == 2 * len(data)
    first, second = data.given[: len(data)], data.given[len(data) :]
    for epoch in (first, second):
        assert sorted(np.concatenate([grey(x[: len(x) // 2]) for x, _ in epoch])) == list(range(N))
    copies = [np.concatenate([x[len(x) // 2 :, 0, 0, 0] for x, _ in epoch]) for epoch in (first, second)]
    assert not np.isin(*copies).any()
    assert any(not torch.equal(a, b) for a, b in zip(before, classifier.model.parameters(), strict=True))


@pytest.mark.parametrize("preprocessing", [(0, 1), (0.4, 0.2)])
@pytest.mark.parametrize("one_hot", [False, True])
def test_fit_generator_of_a_classifier(preprocessing, one_hot):
    labels = np.eye(CLASSES, dtype=np.float32)[Y] if one_hot else Y
    classifier = trainable(preprocessing=preprocessing)
    data = Spy(X, labels, batch_size=8, randomization=SHIFT, seed=0)
    classifier.fit_generator(data, nb_epochs=2)
    assert len(data.given) == 2 * len(data)
    by_hand = trainable(preprocessing=preprocessing)
    for x, y in data.given:  # one step of ART's fit a batch; its shuffle changes the rounding only
        by_hand.fit(x, y, batch_size=8, nb_epochs=1)
    for a, b in zip(classifier.model.parameters(), by_hand.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_range_layout_and_dtype():
    raw = np.moveaxis((X * 255).round().astype(np.uint8), 1, -1)
    data = generator(raw, clip_values=(0, 255), channels_first=False, randomization=Brightness(0.1), shuffle=False)
    x, _ = data.get_batch()
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:4], raw[:4])
    np.testing.assert_allclose(x[4:], raw[:4] + 25.5, rtol=1e-5)
    mapped = generator(randomization=DomainMapping("night", severity=5), proportions=(0, 1, 0))
    assert mapped.get_batch()[0].mean() < X.mean()


def test_global_generators_are_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    attack = FGSM(make_classifier(), eps=0.05)
    data = generator(
        Pairs(), None, attack=attack, batch_size=9, randomization=Pipeline([SHIFT, GaussianNoise(0.1)]), num_workers=1
    )
    list(data)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


def test_the_loader_is_a_true_one():
    data, twin = generator(), generator()
    loader = data.loader()
    assert isinstance(loader, DataLoader)
    assert isinstance(data, DataGenerator)
    assert len(loader) == len(data)
    for _ in range(2):
        assert same([(x.numpy(), y.numpy()) for x, y in loader], twin)
    one_hot = generator(y=np.eye(CLASSES, dtype=np.float32)[Y])
    classifier = trainable()
    before = classifier.model[0][0].weight.detach().clone()
    classifier.fit_generator(PyTorchDataGenerator(one_hot.loader(), one_hot.size, one_hot.batch_size), nb_epochs=1)
    assert not torch.equal(before, classifier.model[0][0].weight)


def test_it_says_what_it_is():
    assert repr(generator()) == "RandomizedDataGenerator(26 images, 7 batches of (4, 4, 0) rows)"

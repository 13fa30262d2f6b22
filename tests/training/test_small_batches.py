"""A last batch of one image, on which batch normalization cannot train: nothing is lost, and it is said in time."""

import warnings
from itertools import chain

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from art.estimators.regression import PyTorchRegressor
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from art_domainrand import RandomizedDataGenerator, fit_randomized, randomized
from art_domainrand.randomization import Brightness
from art_domainrand.training.data.epochs import Joined
from art_domainrand.training.data.small_batches import refuses_one_image

from support.estimators import CLASSES, SHAPE
from support.trainer import assert_same, differs, trainable, trainer_of, weights, with_norm

N, BATCH = 9, 4
X = np.random.default_rng(0).random((N, *SHAPE), dtype=np.float32) * 0.6 + 0.1
Y = np.arange(N) % CLASSES
PIPELINE = Brightness((-0.1, 0.1))
SAID = "the last batch of an epoch has one image, on which batch normalization cannot train: it joins the batch before"


class Counting(nn.Module):
    """Batch normalization of one value a channel, behind what notes the sizes it is trained on."""

    def __init__(self):
        super().__init__()
        self.sizes = []
        self.net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.2), nn.Linear(64, CLASSES))

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            self.sizes.append(len(x))
        return self.net(x)


def counting():
    classifier = trainable(Counting())
    classifier.model.sizes.clear()
    return classifier


def fit_trainer(classifier, n=N, **options):
    trainer_of(classifier, **({"objective": "madry"} | options)).fit(X[:n], Y[:n], batch_size=BATCH, nb_epochs=2)


def fit_own(classifier, n=N, **options):
    fit_randomized(classifier, X[:n], Y[:n], **({"batch_size": BATCH, "nb_epochs": 2, "seed": 0} | options))


@pytest.mark.parametrize("fit", [fit_trainer, fit_own])
def test_the_last_image_joins_the_batch_before(fit):
    classifier = counting()
    with pytest.warns(UserWarning, match=SAID) as said:
        fit(classifier)
    assert said[0].filename == __file__
    assert classifier.model.sizes == [4, 5] * 2


@pytest.mark.parametrize("fit", [fit_trainer, fit_own])
def test_batches_stay_as_they_are_where_nothing_is_wrong(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = counting()
        fit(classifier, n=N + 1 - 2)  # two full batches
        assert classifier.model.sizes == [4, 4] * 2
        fit(trainable(with_norm()))  # a feature map has more than one value a channel, in one image too
        if fit is fit_own:
            dropping = counting()
            fit(dropping, drop_last=True)
            assert dropping.model.sizes == [4, 4] * 2
        else:
            pairs = counting()
            fit(pairs, objective="trades")  # sees each image twice at once
            assert pairs.model.sizes == [8, 8, 2] * 2


@pytest.mark.parametrize("fit", [fit_trainer, fit_own])
def test_where_there_is_no_other_batch_it_is_said_before_the_first_step(fit):
    classifier = counting()
    before = weights(classifier)
    with pytest.raises(ValueError, match=r"batch_size must leave no batch of one image, on which .*, got 1 of 4"):
        fit(classifier, n=1)
    if fit is fit_own:
        with pytest.raises(ValueError, match=r"batch_size must leave no batch of one image.*, got 9 of 1"):
            fit(classifier, batch_size=1)
    assert_same(before, weights(classifier))


def test_every_image_is_trained_on_once_with_all_its_copies():
    classifier = counting()
    seen = []
    classifier.model.register_forward_pre_hook(
        lambda net, inputs: seen.append(inputs[0]) if net.training and torch.is_grad_enabled() else None
    )
    attack = FastGradientMethod(classifier, eps=0.0)
    settings = {"proportions": (1, 0, 0.3), "batch_size": 5, "nb_epochs": 1, "seed": 0}  # four images and an attack
    with pytest.warns(UserWarning, match=SAID):
        fit_randomized(classifier, X, Y, attack=attack, **settings)
    assert classifier.model.sizes == [5, 6]
    rows = torch.cat([seen[-2][:4], seen[-1][:5]])
    assert {row.numpy().tobytes() for row in rows} == {image.tobytes() for image in X}


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_a_dataset_are_joined_too(workers):
    classifier, data = counting(), TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    with pytest.warns(UserWarning, match=SAID):
        fit_randomized(classifier, DataLoader(data, batch_size=2, num_workers=workers), batch_size=BATCH, nb_epochs=1)
    assert classifier.model.sizes == [4, 5]


def test_other_estimators_are_given_joined_batches_too():
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    regressor = PyTorchRegressor(net, nn.MSELoss(), SHAPE, optimizer, device_type="cpu")
    with pytest.warns(UserWarning, match=SAID):
        fit_randomized(regressor, X, Y.astype(np.float32), batch_size=BATCH, nb_epochs=1)


def test_the_model_is_tried_without_a_trace():
    model = randomized(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5)), PIPELINE, seed=0)
    model.model.append(nn.Linear(64, CLASSES))
    classifier, other = trainable(model), trainable(with_norm())
    for one, refuses in ((classifier, True), (other, False), (trainable(), False), (None, False)):
        before, state = None if one is None else weights(one), torch.get_rng_state()
        calls = classifier.model.randomization._stream._calls
        assert refuses_one_image(one) == refuses
        assert before is None or not differs(before, weights(one))
        assert torch.equal(state, torch.get_rng_state())
        assert classifier.model.randomization._stream._calls == calls


def test_a_generator_says_so_when_it_is_made_and_the_trainer_before_it_trains():
    settings = {"batch_size": BATCH, "randomization": PIPELINE, "proportions": (0, 1, 0), "seed": 0}
    with pytest.warns(UserWarning, match="has one row, on which .*; drop_last=True leaves it out") as said:
        generator = RandomizedDataGenerator(X, Y, **settings)
    assert said[0].filename == __file__
    assert generator.last_rows == len(list(generator)[-1][0]) == 1
    classifier = counting()
    before = weights(classifier)
    with pytest.raises(ValueError, match=r"generator must have no batch of one image.*drop_last=True"):
        trainer_of(classifier, objective="madry").fit_generator(generator, nb_epochs=1)
    assert_same(before, weights(classifier))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dropping = RandomizedDataGenerator(X, Y, drop_last=True, **settings)
        RandomizedDataGenerator(X[:7], Y[:7], **settings)
        trainer_of(trainable(with_norm()), objective="madry").fit_generator(generator, nb_epochs=1)
    trainer_of(classifier, objective="madry").fit_generator(dropping, nb_epochs=1)
    assert classifier.model.sizes == [4, 4]


@pytest.mark.parametrize("sizes", [[], [3], [3, 1], [3, 3, 1]])
def test_batches_are_joined_at_the_end_alone(sizes):
    positions = iter(range(10))
    batches = [[next(positions) for _ in range(size)] for size in sizes]
    joined = list(Joined(batches))
    assert list(chain(*joined)) == list(chain(*batches))
    assert joined[:-1] == batches[: max(len(batches) - 2, 0)]

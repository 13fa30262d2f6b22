"""Arrays that torch does not share, and channels at the wrong end: read, or noticed, by all that takes images."""

import warnings

import numpy as np
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing

from art_domainrand import (
    DifferentiableDefence,
    DomainMapping,
    DomainRandomization,
    RandomizedDataGenerator,
    fit_randomized,
)
from art_domainrand.evaluation.run import shifted
from art_domainrand.randomization import Brightness, Pipeline, corrupt, domain_mapping

from support.trainer import corners, trainable, trainer_of, weights


def images(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def views(x):
    """The same images turned round (negative strides), of foreign bytes, and read-only."""
    read_only = x.copy()
    read_only.setflags(write=False)
    return x[::-1].copy()[::-1], x[..., ::-1, ::-1].copy()[..., ::-1, ::-1], x.astype(">f4"), read_only


def generated(x):
    generator = RandomizedDataGenerator(x, np.arange(len(x)), batch_size=2, randomization=Brightness(), seed=0)
    return generator.get_batch()[0]


def fitted(x):
    classifier = trainable()
    fit_randomized(classifier, x, np.arange(len(x)), randomization=Brightness(), batch_size=2, nb_epochs=1, seed=0)
    return torch.cat([value.flatten() for value in weights(classifier).values()]).numpy()


def trained(x):
    trainer = trainer_of(trainable(), objective="madry", randomization=Pipeline(Brightness()))
    trainer.fit(x, np.arange(len(x)), batch_size=2, nb_epochs=1, validation_data=(x, np.arange(len(x))))
    return torch.cat([value.flatten() for value in weights(trainer._classifier).values()]).numpy()


TAKERS = {
    "corrupt": lambda x: corrupt(x, "fog"),
    "domain_mapping": lambda x: domain_mapping(x, "reinhard", references=x[:1], seed=0),
    "DomainRandomization": lambda x: DomainRandomization(Brightness(), seed=0)(x)[0],
    "DomainMapping": lambda x: DomainMapping("reinhard", 3, x[:1], seed=0)(x)[0],
    "DifferentiableDefence": lambda x: DifferentiableDefence(SpatialSmoothing(3, channels_first=True))(x)[0],
    "estimate_gradient": lambda x: DifferentiableDefence(SpatialSmoothing(3, channels_first=True)).estimate_gradient(
        x, x
    ),
    "shifted": lambda x: shifted(Pipeline(Brightness()), 0)(None, x, None),
    "RandomizedDataGenerator": generated,
    "fit_randomized": fitted,
    "DomainAdversarialTrainer": trained,
}


@pytest.mark.filterwarnings("ignore:shifted:DeprecationWarning")
@pytest.mark.parametrize("name", TAKERS)
def test_any_array_of_images_is_read(name):
    x = images(4, 1, 8, 8)
    expected = TAKERS[name](x)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(stride|byte).*")
        for view in views(x):
            np.testing.assert_array_equal(TAKERS[name](view), expected)
    assert not np.shares_memory(TAKERS[name](x), x)


def test_labels_are_read_from_any_array_too():
    x, y = corners(8)
    found = [
        RandomizedDataGenerator(x, labels, batch_size=8, randomization=Brightness(), seed=0).get_batch()[1]
        for labels in (y, y[::-1].copy()[::-1], y.astype(">i8"))
    ]
    assert all(np.array_equal(labels, found[0]) for labels in found)


def test_channels_at_the_wrong_end_are_noticed():
    x = torch.from_numpy(images(2, 24, 24, 3))
    for call in (
        lambda: corrupt(x, "contrast"),
        lambda: domain_mapping(x, "negative"),
        lambda: domain_mapping(x.numpy(), "negative"),
        lambda: domain_mapping(torch.zeros(2, 24, 8, 8), "moments", references=x),
        lambda: DomainMapping("moments", 3, x),
    ):
        with pytest.warns(UserWarning, match=r"of shape \(2, 24, 24, 3\) has 24 channels.*in the other layout\?"):
            call()

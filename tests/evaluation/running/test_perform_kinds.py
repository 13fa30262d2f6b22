"""Each kind of condition does what its own function does, whatever block a sample stands in."""

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand.core.random import SHIFT, keys_of
from art_domainrand.evaluation.conditions import (
    CONDITIONS,
    Attacked,
    Clean,
    Composite,
    Corrupted,
    Custom,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
)
from art_domainrand.evaluation.outcomes import SORTED_BY
from art_domainrand.evaluation.running.perform import PERFORMERS, perform
from art_domainrand.randomization import Brightness, Pipeline, Rotation, corrupt, domain_mapping
from art_domainrand.randomization.core.sampling import keyed_draws

from support.estimators import cnn, make_classifier, wrap
from support.performing import NAMES, block_of

PIPELINE = Pipeline([Rotation((-30, 30)), Brightness((0.1, 0.3))])
ONE_OF_EACH = [
    Clean(),
    Attacked("pgd", 0.1, options={"max_iter": 3}),
    Corrupted("gaussian_noise", 3),
    InDomain("night", 4),
    Randomized(PIPELINE, draws=3),
    DomainAttacked(PIPELINE, evaluations=10),
    Composite(PIPELINE, 0.05, evaluations=10, max_iter=3),
    Then(Corrupted("fog", 2), Attacked("pgd", 0.1, options={"max_iter": 3})),
    Then(Randomized(PIPELINE, draws=2), Corrupted("shot_noise", 2)),
    Custom(lambda estimator, x, y: x * 0.5, "dimmed"),
    Union((Corrupted("fog", 2), Randomized(PIPELINE, draws=2), Attacked("pgd", 0.02, "l2", {"max_iter": 3}))),
]


def all_images(condition, x, model=None, **changes):
    """What a condition makes of images: a model is asked that takes every image for class 1, and clean ones for 0."""
    seen = []
    model = make_classifier() if model is None else model
    own = model.predict

    def predict(images, **options):
        seen.append(images)
        return own(images, **options)

    model.predict = predict
    block = block_of(x, np.zeros(len(x), np.int64), batch_size=64, **changes)
    perform(model, [condition], block, classes=NAMES)
    return seen


def test_every_kind_has_a_performer():
    assert set(PERFORMERS) == {*CONDITIONS.values(), Custom}


def test_a_corruption_is_that_of_corrupt(images):
    (seen,) = all_images(Corrupted("gaussian_noise", 3), images, seed=5)
    np.testing.assert_array_equal(seen, corrupt(images, "gaussian_noise", 3, seed=5))


def test_a_domain_is_that_of_domain_mapping(images):
    (seen,) = all_images(InDomain("rain", 4), images, seed=5)
    np.testing.assert_array_equal(seen, domain_mapping(images, "rain", 4, seed=5))


def test_draws_are_those_of_the_pipeline(images):
    seen = all_images(Randomized(PIPELINE, draws=2), images, seed=5)
    for draw, shown in enumerate(seen):
        drawn = keyed_draws(PIPELINE, keys_of(5, SHIFT, torch.arange(10), draw))
        expected = PIPELINE.apply(torch.from_numpy(images), drawn).clamp(0, 1)
        np.testing.assert_array_equal(shown, expected.numpy())
    assert len(seen) == 2


def test_the_second_of_two_works_on_the_images_of_the_first(images):
    (seen,) = all_images(Then(InDomain("night", 4), Custom(lambda e, x, y: x / 2)), images, seed=5)
    np.testing.assert_array_equal(seen, domain_mapping(images, "night", 4, seed=5) / 2)


def test_distances_are_measured_from_where_the_last_step_began(classifier, images):
    y = classifier.predict(images).argmax(1)
    condition = Then(Custom(lambda e, x, y: x / 2), Attacked("pgd", 0.1))
    rows = perform(classifier, [condition], block_of(images, y), classes=NAMES).rows
    assert rows["linf"].max() <= 0.1001


@pytest.mark.parametrize("condition", ONE_OF_EACH, ids=lambda condition: condition.name)
def test_rows_do_not_depend_on_the_block_or_on_what_ran_before(condition, images, labels):
    model = make_classifier()
    y = np.where(np.arange(10) % 3, model.predict(images).argmax(1), labels)
    whole = perform(model, [condition], block_of(images, y), classes=NAMES).rows
    torch.rand(3), np.random.random(3)
    picked = np.array([7, 2, 5])
    part = perform(model, [condition], block_of(images, y).take(picked), classes=NAMES).rows
    expected = whole[np.isin(whole["sample"], picked)]
    found = np.sort(part, order=SORTED_BY)
    exact = ["sample", "draw", "label", "predicted", "right"]
    assert found[exact].tolist() == np.sort(expected, order=SORTED_BY)[exact].tolist()
    for name in ("margin", "confidence", "l1", "l2", "linf"):
        np.testing.assert_allclose(found[name], np.sort(expected, order=SORTED_BY)[name], rtol=1e-3, atol=1e-5)
    draws = {"Randomized": 3, "Then": 2 if isinstance(getattr(condition, "first", None), Randomized) else 1}
    assert len(whole) == 10 * draws.get(type(condition).__name__, 1)


class ChannelsLast(nn.Module):
    """A model of images (H, W, C) in [-1, 3], which sees what another sees."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model((x.permute(0, 3, 1, 2) + 1) / 4)


@pytest.mark.parametrize("place", [0, 2, 3, 4, 8])  # those that do not attack, which is done in the model's own units
def test_other_ranges_and_layouts_come_to_the_same(place, images, labels):
    channels = np.repeat(images, 3, axis=1)
    plain = make_classifier(cnn(channels=3), input_shape=(3, 8, 8))
    last = {"input_shape": (8, 8, 3), "clip_values": (-1.0, 3.0), "channels_first": False}
    other = wrap(ChannelsLast(plain.model), **last)
    moved = (np.moveaxis(channels, 1, -1) * 4 - 1).astype(np.float32)
    y = plain.predict(channels).argmax(1)
    one, two = (
        perform(model, [ONE_OF_EACH[place]], block_of(x, y), classes=NAMES, keep=3)
        for model, x in ((plain, channels), (other, moved))
    )
    assert one.rows["predicted"].tolist() == two.rows["predicted"].tolist()
    np.testing.assert_allclose(one.rows["l2"] * 4, two.rows["l2"], rtol=1e-3, atol=1e-4)
    assert [sample.sample for sample in one.samples] == [sample.sample for sample in two.samples]
    assert place == 0 or (~one.rows["right"]).any() == bool(one.samples)
    for a, b in zip(one.samples, two.samples, strict=True):
        np.testing.assert_allclose(a.clean, channels[a.sample], atol=1e-6)
        np.testing.assert_allclose(b.clean, channels[a.sample], atol=1e-6)
        np.testing.assert_allclose(a.changed, b.changed, atol=1e-5)

"""Units, families, blocks and choices."""

import numpy as np
import pytest

from art_domainrand import PGD
from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, Custom, Randomized, Then
from art_domainrand.evaluation.running.naming import named_conditions, named_models
from art_domainrand.evaluation.running.plan import (
    Plan,
    batch_size_of,
    block_size_of,
    chosen_samples,
    families_of,
)
from art_domainrand.randomization import Brightness, Pipeline


def test_families_differ_in_eps_alone():
    fog = Corrupted("fog", 3)
    conditions = [
        Attacked("pgd", 0.1),
        Clean(),
        Attacked("pgd", 0.2),
        Attacked("pgd", 0.1, "l2"),
        Then(fog, Attacked("pgd", 0.1)),
        Attacked("pgd", 0.3, options={"max_iter": 5}),
        Then(fog, Attacked("pgd", 0.0)),
        Clean(),
        Then(Clean(), Attacked("pgd", 0.1)),
    ]
    assert families_of(conditions) == ((0, 2), (1,), (3,), (4, 6), (5,), (7,), (8,))


def test_units_are_every_model_in_every_family_on_every_block():
    plan = Plan(np.arange(10, 21), 4, 2, ((0, 2), (1,)), diagnosed=True)
    units = plan.units
    assert [unit.number for unit in units] == list(range(14))
    assert {(u.block, u.model, u.family) for u in units[:12]} == {
        (block, model, family) for block in range(3) for model in range(2) for family in ((0, 2), (1,))
    }
    assert np.array_equal(np.concatenate([plan.samples_of(block) for block in range(3)]), plan.samples)
    assert [unit.family for unit in units[12:]] == [(), ()]


def test_a_choice_is_of_the_seed_and_as_likely_for_every_sample():
    assert np.array_equal(chosen_samples(5, None, 0), np.arange(5))
    assert np.array_equal(chosen_samples(5, 9, 0), np.arange(5))
    draws = [chosen_samples(20, 5, seed) for seed in range(400)]
    assert all(len(np.unique(one)) == 5 and np.all(np.diff(one) > 0) for one in draws)
    counts = np.bincount(np.concatenate(draws), minlength=20)
    assert abs(counts - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)
    assert np.array_equal(chosen_samples(20, 5, 7), draws[7])


@pytest.mark.parametrize(("pixels", "block"), [(1, 256), (784, 256), (3 * 224**2, 64), (3 * 4000**2, 1)])
def test_a_block_is_at_most_256_images_and_64_mb(pixels, block):
    assert block_size_of(pixels) == block
    assert block == 1 or block * pixels * 4 <= 2**26
    assert batch_size_of(pixels, block, "cuda") == block
    assert batch_size_of(pixels, block, "cpu") <= block


class Fake:
    """Enough of an estimator to be taken for one."""

    def predict(self, x):
        return x


def test_models_and_conditions_get_their_names():
    model, pipeline = Fake(), Pipeline([Brightness((0.1, 0.2))])
    assert named_models(model) == {"model": model}
    assert named_models({"a": model}) == {"a": model}

    def dark(estimator, x, y):
        return x / 2

    assert named_conditions({"a": Clean(), "b": dark, "c": pipeline}, None) == {
        "a": Clean(),
        "b": Custom(dark, "b"),
        "c": Randomized(pipeline),
    }
    assert named_conditions([Clean(), dark], None) == {"clean": Clean(), "dark": Custom(dark)}
    assert named_conditions(Clean(), None) == {"clean": Clean()}
    assert named_conditions("some", lambda name: [Clean(), Custom(dark, name)]).keys() == {"clean", "some"}


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([PGD], r"got the attack PGD; write Attacked\(PGD, eps=8/255\)"),
        ({"a": PGD}, r"conditions\['a'\] must be a condition"),
        ({"a": Clean}, r"got the class Clean; write Clean\(...\)"),
        ([Clean(), Clean()], r"each name once.*\['clean'\]"),
        ([], "at least one condition"),
        ({"a": 0.1}, "got float"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_to_write(conditions, words):
    with pytest.raises((TypeError, ValueError), match=words):
        named_conditions(conditions, None)


def test_an_attack_that_is_made_already_is_no_condition(classifier):
    with pytest.raises(TypeError, match="the attack PGD; write Attacked"):
        named_conditions({"pgd": PGD(classifier)}, None)


@pytest.mark.parametrize(
    ("models", "words"),
    [({}, "at least one"), ({"a": 3}, r"models\['a'\] must be an ART"), ({1: Fake()}, "text for names")],
)
def test_what_is_no_model_is_refused(models, words):
    with pytest.raises((TypeError, ValueError), match=words):
        named_models(models)

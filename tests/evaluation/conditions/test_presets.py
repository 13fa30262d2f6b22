"""Presets: what they hold, at which radii, and that all of it can be performed."""

import numpy as np
import pytest

from art_domainrand.evaluation.conditions import Attacked, Clean, Composite, Corrupted, DomainAttacked, InDomain, Then
from art_domainrand.evaluation.conditions.documents import to_document
from art_domainrand.evaluation.conditions.kinds import eps_of
from art_domainrand.evaluation.conditions.known import from_document
from art_domainrand.evaluation.conditions.presets import CONDITION_PRESETS, preset_conditions
from art_domainrand.evaluation.running.perform import check_performable, perform
from art_domainrand.randomization import CORRUPTIONS, DOMAINS

from support.estimators import cnn, make_classifier
from support.performing import NAMES, block_of

ALL = [(name, norm, channels) for name in CONDITION_PRESETS for norm in ("linf", "l2", "l1") for channels in (1, 3)]


@pytest.mark.parametrize(("name", "norm", "channels"), ALL)
def test_every_condition_has_a_name_of_its_own_and_can_be_performed(name, norm, channels):
    conditions = preset_conditions(name, norm=norm, channels=channels)
    names = [condition.name for condition in conditions]
    assert len(set(names)) == len(names)
    for condition in conditions:
        check_performable(condition)
        assert from_document(to_document(condition)) == condition
    assert conditions[0] == Clean()


@pytest.mark.parametrize(("small", "large"), [("quick", "standard"), ("standard", "full")])
def test_a_larger_preset_looks_at_all_that_a_smaller_one_does(small, large):
    def looks(name):
        found = set()
        for condition in preset_conditions(name):
            parts = (condition.first, condition.second) if isinstance(condition, Then) else (condition,)
            found.add(tuple(getattr(p, "corruption", getattr(p, "domain", type(p).__name__)) for p in parts))
        return found

    assert looks(small) <= looks(large)


def test_full_holds_every_corruption_and_domain():
    conditions = preset_conditions("full")
    assert {(c.corruption, c.severity) for c in conditions if isinstance(c, Corrupted)} == {
        (name, severity) for name in CORRUPTIONS for severity in range(1, 6)
    }
    assert {c.domain for c in conditions if isinstance(c, InDomain)} == set(DOMAINS)


def radii(name, **options):
    return sorted({eps_of(c) for c in preset_conditions(name, **options) if isinstance(c, Attacked)})


def test_radii_are_those_of_the_field_in_units_of_the_pixels():
    assert radii("quick") == [8 / 255]
    assert radii("quick", channels=1) == [0.1]
    assert radii("quick", width=255.0) == [8.0]
    assert radii("quick", norm="l2") == [0.5]
    assert radii("quick", eps=0.02) == [0.02]
    assert radii("quick", eps=[0.02, 0.01]) == [0.01, 0.02]
    assert len([c for c in preset_conditions("standard") if isinstance(c, Attacked) and c.norm == "linf"]) == 7


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "quik"}, r"preset must be one of .*did you mean 'quick'\?"),
        ({"name": "quick", "norm": "l7"}, "norm must be one of"),
        ({"name": "quick", "eps": 0}, "eps must be > 0, got 0"),
        ({"name": "quick", "eps": []}, "eps must hold a radius"),
        ({"name": "quick", "eps": [0.1, "x"]}, "eps must be a finite number"),
        ({"name": "quick", "width": 0}, "width must be a finite number > 0"),
    ],
)
def test_wrong_arguments_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        preset_conditions(**given)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_quick_preset_runs(channels):
    x = np.random.default_rng(0).random((4, channels, 16, 16), dtype=np.float32)
    model = make_classifier(cnn(channels, size=16), input_shape=(channels, 16, 16))
    y = model.predict(x).argmax(1)
    for condition in preset_conditions("quick", channels=channels):
        rows = perform(model, [condition], block_of(x, y), classes=NAMES).rows
        assert len(rows) == 4
        assert np.isfinite(rows["margin"]).all()


def test_full_attacks_as_carben_does_where_images_are_rgb():
    both = {DomainAttacked("carben", evaluations=200), Composite("carben", 8 / 255)}
    assert both <= set(preset_conditions("full"))
    assert not any("carben" in c.name for c in preset_conditions("full", channels=1))

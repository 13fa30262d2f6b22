"""The catalogue as data: complete, and true to the transforms."""

from dataclasses import fields

from art_domainrand.randomization import CORRUPTIONS, DOMAINS, MIXING, PRESETS, TRANSFORMS
from art_domainrand.randomization.describe import describe

ENTRIES = {(entry.kind, entry.name): entry for entry in describe()}


def test_every_table_is_listed_in_its_order():
    tables = {"transforms": TRANSFORMS, "mixing": MIXING, "corruptions": CORRUPTIONS, "domains": DOMAINS}
    tables["presets"] = PRESETS
    assert list(ENTRIES) == [(kind, name) for kind, table in tables.items() for name in table]


def test_parameters_come_with_range_and_unit():
    assert "angle: -15 to 15 (degrees)" in ENTRIES["transforms", "rotation"].parameters
    assert "mode: bilinear" in ENTRIES["transforms", "rotation"].parameters
    assert "gamma: 0.7 to 1.4 log-uniform (exponent)" in ENTRIES["transforms", "gamma"].parameters
    assert ENTRIES["domains", "night"].parameters == ("severity: 1 to 5",)
    assert ENTRIES["mixing", "mixup"].parameters == ("alpha: 0.2 (of Beta(alpha, alpha))",)
    assert "severity: an int from 1 to 5" in ENTRIES["corruptions", "fog"].parameters


def test_every_parameter_of_every_transform_is_named():
    for name, cls in TRANSFORMS.items():
        named = [text.split(":")[0] for text in ENTRIES["transforms", name].parameters]
        assert named == [field.name for field in fields(cls)]


def test_differentiability_is_that_of_the_transform():
    for name, cls in TRANSFORMS.items():
        assert ENTRIES["transforms", name].differentiable == cls().differentiable
    assert not ENTRIES["corruptions", "fog"].differentiable
    assert ENTRIES["presets", "mild"].differentiable
    assert not ENTRIES["presets", "imagenet_c"].differentiable


def test_a_preset_names_its_steps():
    steps = ENTRIES["presets", "sensor"].parameters
    assert "one_of(shot_noise, iso_noise)" in steps
    assert "sometimes(jpeg)" in steps

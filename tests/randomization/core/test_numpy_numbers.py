"""Numbers of NumPy as arguments: they become Python's own, so that they can be compared, described and saved."""

from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
import torch

from art_domainrand.randomization import (
    DOMAINS,
    TRANSFORMS,
    Beta,
    Choice,
    Constant,
    Contrast,
    CutMix,
    Distribution,
    Elastic,
    Erasing,
    Flip,
    GridShuffle,
    LogUniform,
    MixUp,
    Normal,
    OnChannels,
    OneOf,
    Pipeline,
    RandomCorruption,
    Rotation,
    Sometimes,
    TextureRandomization,
    TruncatedNormal,
    Uniform,
    from_dict,
    from_json,
    from_yaml,
    to_dict,
    to_json,
    to_yaml,
)

TYPES = [np.float16, np.float32, np.float64, np.longdouble, np.int32, np.int64, np.uint8, Fraction]


def leaves(document):
    if isinstance(document, dict):
        return [leaf for part in document.values() for leaf in leaves(part)]
    return [leaf for part in document for leaf in leaves(part)] if isinstance(document, list) else [document]


def saved_and_read(pipeline):
    assert {type(leaf) for leaf in leaves(to_dict(pipeline))} <= {int, float, str, bool, type(None)}
    for write, read in ((to_dict, from_dict), (to_json, from_json), (to_yaml, from_yaml)):
        assert read(write(pipeline)) == pipeline


@pytest.mark.parametrize("number", TYPES)
def test_every_place_for_a_number_takes_it_and_can_be_saved(number):
    one, two = number(1), number(2)
    pipeline = Pipeline(
        [
            Rotation((one, two)),
            Rotation(two),
            Rotation(Uniform(one, two)),
            Rotation(LogUniform(one, two)),
            Rotation(Normal(one, two)),
            Rotation(TruncatedNormal(one, two, one, two)),
            Rotation(Beta(one, two, one, two)),
            Rotation(Choice((one, two), (one, two))),
            Rotation(Constant(two)),
            Contrast(one, pivot=one),
            Erasing(fill=one),
            Flip(one, one),
            Sometimes(Flip(), one),
            OneOf([Flip(), Flip()], [one, two]),
            DOMAINS["fog"](two),
            RandomCorruption(severity=(one, two)),
        ]
    )
    saved_and_read(pipeline)
    x, plain = torch.rand(2, 3, 8, 8), from_dict(to_dict(pipeline))
    draw = pipeline.sample(2, torch.Generator().manual_seed(0))
    assert torch.equal(pipeline.apply(x, draw), plain.apply(x, draw))
    assert MixUp(one) == MixUp(1)
    assert type(CutMix(one).alpha) in (int, float)


def test_counts_indices_flags_and_names_are_pythons_own():
    pipeline = Pipeline(
        [
            GridShuffle(np.int64(2), np.uint8(3)),
            Elastic(cells=np.int32(4)),
            TextureRandomization(cells=np.int64(3), mask_channel=np.int64(3), whole=np.bool_(True)),
            OnChannels(Contrast(), np.array([0, 2])),
            RandomCorruption(np.array(["fog", "snow"])),
        ]
    )
    saved_and_read(pipeline)
    assert pipeline.transforms[3].channels == (0, 2)
    assert pipeline.transforms[2].whole is True


def test_arrays_are_read_as_the_pair_or_the_number_they_hold():
    assert Rotation(np.array([-10.0, 10.0])) == Rotation((-10, 10))
    assert Rotation(np.array(3)) == Rotation(3)
    assert Choice(np.arange(3)) == Choice((0, 1, 2))
    with pytest.raises(ValueError, match="angle must be a number"):
        Rotation(np.arange(3))


def test_every_entry_of_the_table_can_be_saved_with_numpy_bounds():
    for cls in TRANSFORMS.values():
        ranges = {
            field.name: tuple(np.float32(end) for end in field.default.support)
            for field in fields(cls)
            if isinstance(field.default, Distribution) and np.isfinite(field.default.support).all()
        }
        saved_and_read(Pipeline(cls(**ranges)))


def test_learned_bounds_stay_tensors():
    width = torch.tensor(3.0, requires_grad=True)
    assert Rotation(Uniform(-1, width)).angle.high is width

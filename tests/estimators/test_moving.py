"""Estimators on another device for a while."""

import contextlib

import torch
from torch import nn

from art_domainrand import DomainRandomization
from art_domainrand.estimators.moving import device_of, movable_parts, on_device
from art_domainrand.randomization import Brightness

META = torch.device("meta")  # a device that every machine has, and on which nothing is computed


def test_all_parts_move_and_come_back(classifier_with):
    defence = DomainRandomization([Brightness((0.1, 0.2))], device_type="cpu")
    bare = nn.Flatten()  # nothing comes back from that device, so nothing may go there
    classifier = classifier_with(bare, preprocessing=([0.5], [0.2]), preprocessing_defences=[defence])
    parts = movable_parts(classifier)
    assert classifier in parts
    assert defence in parts
    assert len(parts) == 3
    with contextlib.suppress(RuntimeError), on_device(classifier, META):
        assert {part._device for part in parts} == {META}
        assert device_of(classifier) == "meta"
        raise RuntimeError
    assert {part._device for part in parts} == {torch.device("cpu")}


def test_without_a_device_nothing_moves(classifier_with):
    classifier = classifier_with(nn.Flatten())
    with on_device(classifier, None):
        assert device_of(classifier) == "cpu"
    with on_device(object(), META):
        assert device_of(object()) == "cpu"

"""Global generators: seeded inside, as they were outside, whatever happens."""

import random

import numpy as np
import pytest
import torch

from art_domainrand.core.global_rng import preserved_global_rng, seeded_global_rng


def drawn():
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_what_is_drawn_inside_does_not_show_outside():
    with preserved_global_rng():
        expected = drawn()
    with preserved_global_rng():
        for _ in range(5):
            drawn()
    assert drawn() == expected


def test_a_seed_decides_inside_and_is_forgotten_after_an_exception():
    with preserved_global_rng():
        expected = drawn()
    inside = []

    def fail(seed):
        with seeded_global_rng(seed):
            inside.append(drawn())
            raise KeyError

    for seed in (3, 3, 2**40):
        with pytest.raises(KeyError):
            fail(seed)
    assert inside[0] == inside[1]
    assert not set(inside[0]) & set(inside[2])
    assert drawn() == expected


def test_without_a_seed_nothing_is_touched():
    with preserved_global_rng():
        expected = drawn(), drawn()
    with seeded_global_rng(None):
        first = drawn()
    assert (first, drawn()) == expected

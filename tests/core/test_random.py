"""Keyed numbers: independent, uniform, and the same in any company, in any order, on any device."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from art_domainrand.core import hashing
from art_domainrand.core import random as keyed
from art_domainrand.core.random import (
    checked_seed,
    derive,
    fresh_seed,
    integers,
    key_of,
    keys_of,
    mix64,
    name_id,
    normal,
    permutations,
    seed_of,
    seeds_of,
    uniform,
    uniform_field,
)

PURPOSES = {name: getattr(keyed, name) for name in dir(keyed) if name.isupper()}
for constant in ("GOLDEN", "HASHED"):  # the arithmetic's own
    del PURPOSES[constant]

SEEDS = st.integers(0, 2**200)
SMALL = st.integers(0, 2**63 - 1)
IDS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40, unique=True)
KINDS = {
    "uniform": lambda keys: uniform(keys, (2, 3)),
    "normal": lambda keys: normal(keys, (2, 3)),
    "integers": lambda keys: integers(keys, (5,), 1000),
    "permutations": lambda keys: permutations(keys, 9),
}


def some_keys(n=4000, seed=0, purpose=keyed.DRAW, *path):
    return keys_of(seed, purpose, torch.arange(n), *path)


def test_every_purpose_has_a_number_of_its_own():
    assert len(set(PURPOSES.values())) == len(PURPOSES) >= 20


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS, ids=IDS, data=st.data())
@settings(max_examples=25, deadline=None)
def test_numbers_belong_to_the_sample_in_any_company_and_order(kind, seed, ids, data):
    samples = torch.tensor(ids)
    whole = KINDS[kind](keys_of(seed, keyed.DRAW, samples, 3))
    order = torch.tensor(data.draw(st.permutations(range(len(ids)))))
    part = data.draw(st.integers(1, len(ids)))
    split = [KINDS[kind](keys_of(seed, keyed.DRAW, some, 3)) for some in samples[order].split(part)]
    assert torch.equal(torch.cat(split), whole[order])


@given(seed=SEEDS, path=st.lists(SMALL, max_size=3), ids=IDS)
@settings(max_examples=50, deadline=None)
def test_the_host_and_the_device_make_the_same_keys(seed, path, ids):
    found = keys_of(seed, keyed.DRAW, torch.tensor(ids), *path)
    assert found.dtype == torch.int64
    assert found.tolist() == [key_of(seed, keyed.DRAW, number, *path) for number in ids]
    assert seeds_of(found).tolist() == [seed_of(seed, keyed.DRAW, number, *path) for number in ids]
    by_tensor = derive(torch.tensor([key_of(seed)]), *(torch.tensor([number]) for number in path))
    assert by_tensor.item() == key_of(seed, *path)


def test_keys_differ_by_every_number_of_their_path():
    seeds, ids = [0, 1, 2**63, 2**64, 2**64 + 1, keyed.DRAW << 64], torch.arange(50)
    paths = [(), (0,), (1,), (0, 0), (0, 1), (1, 0)]
    cases = itertools.product(seeds, PURPOSES.values(), paths)
    found = torch.cat([keys_of(seed, purpose, ids, *path) for seed, purpose, path in cases])
    assert len(found.unique()) == len(found)


@pytest.mark.parametrize(
    "others",
    [
        {"another purpose": (0, keyed.MIX), "the next seed": (1, keyed.DRAW), "a far seed": (2**40, keyed.DRAW)},
        {"another restart": (0, keyed.DRAW, 1), "a later one": (0, keyed.DRAW, 1000), "a path": (0, keyed.DRAW, 0, 1)},
    ],
)
@pytest.mark.parametrize("kind", ["uniform", "normal", "integers"])
def test_numbers_of_different_purposes_seeds_and_restarts_are_independent(kind, others):
    """A correlation of 40,000 pairs has a standard deviation of 0.005; squares show a dependence that signs hide."""
    n = 20_000
    one = KINDS[kind](some_keys(n)).flatten(1)[:, :2].double()
    for name, path in others.items():
        two = KINDS[kind](some_keys(n, *path)).flatten(1)[:, :2].double()
        for moment in (lambda v: v, lambda v: (v - v.mean()).square()):
            found = np.corrcoef(moment(one).flatten().numpy(), moment(two).flatten().numpy())[0, 1]
            assert abs(found) < 0.02, f"{kind}, {name}"


@pytest.mark.parametrize("distance", [1, 2, 64])
@pytest.mark.parametrize("what", ["samples", "restarts", "seeds", "numbers"])
def test_neighbours_are_independent(what, distance):
    """The chi-square test of 16 by 16 cells for pairs of neighbours in each direction."""
    n = 25_600
    if what == "samples":
        first, second = (uniform(keys_of(5, keyed.DRAW, torch.arange(n) * 130 + at), (1,)) for at in (0, distance))
    elif what == "restarts":
        first, second = (uniform(some_keys(n, 5, keyed.DRAW, restart), (1,)) for restart in (0, distance))
    elif what == "seeds":
        first, second = (uniform(some_keys(n, seed), (1,)) for seed in (5, 5 + distance))
    else:
        field = uniform(some_keys(n), (distance + 1,))
        first, second = field[:, :1], field[:, distance:]
    cells = (first * 16).long() * 16 + (second * 16).long()
    assert stats.chisquare(torch.bincount(cells.flatten(), minlength=256).numpy()).pvalue > 1e-4


@pytest.mark.parametrize("place", [0, 1, 5])
def test_uniform_and_normal_numbers_have_their_distribution(place):
    assert stats.kstest(uniform(some_keys(), (6,))[:, place].numpy(), "uniform").pvalue > 1e-4
    assert stats.kstest(normal(some_keys(), (6,))[:, place].numpy(), "norm").pvalue > 1e-4


def test_uniform_numbers_reach_neither_end():
    found = uniform(some_keys(100), (20_000,))
    assert 0 < found.min() < 1e-5
    assert 1 - 1e-5 < found.max() < 1


@pytest.mark.parametrize("high", [1, 2, 3, 7, 10, 256, 1000])
def test_small_integers_are_equally_likely(high):
    found = integers(some_keys(40_000, 1), (2,), high)
    assert found.dtype == torch.int64
    counts = torch.bincount(found.flatten(), minlength=high)
    assert len(counts) == high
    assert high == 1 or stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_large_integers_use_all_bits():
    """3 * 2^61 is where a remainder of 63 bits is at its worst; 62 bits would leave the upper third empty."""
    found = integers(some_keys(30_000), (1,), 2**63 - 1)
    bits = (found >> torch.arange(63)) & 1
    assert ((bits.double().mean(0) - 0.5).abs() < 0.015).all()
    found = integers(some_keys(30_000), (1,), 3 << 40)
    assert stats.chisquare(torch.bincount((found >> 40).flatten(), minlength=3).numpy()).pvalue > 1e-4


def test_all_orders_are_equally_likely():
    found = permutations(some_keys(24_000), 4)
    place = (found * torch.tensor([64, 16, 4, 1])).sum(1)
    orders, counts = place.unique(return_counts=True)
    assert len(orders) == 24
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4


@given(seed=SEEDS, size=st.integers(0, 300))
@settings(max_examples=25, deadline=None)
def test_a_permutation_holds_every_number_once(seed, size):
    found = permutations(keys_of(seed, keyed.ORDER, torch.arange(3)), size)
    assert torch.equal(found.sort(1).values, torch.arange(size).expand(3, size))


def test_dtypes_shapes_and_devices_of_the_results():
    keys = some_keys(3)
    for make, dtype in ((uniform, torch.float32), (normal, torch.float32)):
        assert make(keys, (2, 5)).dtype == dtype
        assert make(keys, (2, 5)).shape == (3, 2, 5)
        assert make(keys[:0], (2, 5)).shape == (0, 2, 5)
        assert make(keys, ()).shape == (3,)
    assert integers(keys, (2, 5), 3).shape == (3, 2, 5)
    assert permutations(keys, 7).shape == (3, 7)
    assert uniform_field(keys, 4, torch.float64).dtype == torch.float64
    torch.testing.assert_close(uniform_field(keys, 4, torch.float64).float(), uniform_field(keys, 4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("kind", ["uniform", "integers", "permutations"])
def test_the_device_makes_the_same_bits(kind):
    samples = torch.arange(300)
    here = KINDS[kind](keys_of(3, keyed.DRAW, samples, 1))
    there = KINDS[kind](keys_of(3, keyed.DRAW, samples.cuda(), 1))
    assert there.is_cuda
    assert torch.equal(there.cpu(), here)


def test_names_stand_for_ids():
    names = [f"cat/{number}.png" for number in range(1000)] + ["", "\udcff", "名"]
    ids = [name_id(name) for name in names]
    assert len(set(ids)) == len(names)
    assert all(-(2**63) <= number < 2**63 for number in ids)


def test_fresh_seeds_differ_and_touch_no_global_generator():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    seeds = {checked_seed(None) for _ in range(50)} | {fresh_seed() for _ in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_seeds_may_be_numpys():
    assert checked_seed(np.int32(5)) == 5
    assert type(checked_seed(np.int32(5))) is int


@pytest.mark.parametrize("seed", [-1, 0.5, True, "3", np.float64(1)])
def test_bad_seeds_name_the_rule_and_the_value(seed):
    with pytest.raises(ValueError, match="seed must be None or an int >= 0, got "):
        checked_seed(seed)


@pytest.mark.parametrize("high", [0, -3, 2**63, 1.5, True])
def test_bad_bounds_name_the_rule_and_the_value(high):
    with pytest.raises(ValueError, match=r"high must be an int from 1 to 2\^63 - 1, got "):
        integers(some_keys(2), (1,), high)


@given(number=st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=50, deadline=None)
def test_the_hash_of_the_host_is_that_of_the_device(number):
    assert mix64(torch.tensor([number])).item() == hashing.wrapped(hashing.mix64_of_int(number))


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_and_torch_make_the_same_bits(kind, monkeypatch):
    by_numpy = KINDS[kind](some_keys(70, 2))
    monkeypatch.setattr(hashing, "NUMPY_HASHES", -1)
    assert torch.equal(KINDS[kind](some_keys(70, 2)), by_numpy)


def test_keys_are_not_changed_by_what_is_made_of_them():
    keys = some_keys(5)
    before = keys.clone()
    for make in KINDS.values():
        make(keys)
    assert torch.equal(keys, before)


def test_the_hash_is_splitmix64():
    """The first numbers of the reference program for the seed 1234567 (Vigna, http://prng.di.unimi.it)."""
    found = [number % 2**64 for number in derive(torch.full((5,), 1234567), torch.arange(5)).tolist()]
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert found == known

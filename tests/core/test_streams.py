"""Keys by a running count: the same however many are taken at a time, different on every path."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from art_domainrand.core.streams import Stream


@given(parts=st.lists(st.integers(0, 20), max_size=8))
def test_the_count_alone_decides(parts):
    stream, whole = Stream(3), Stream(3)
    assert torch.equal(torch.cat([stream.keys(part) for part in parts] + [stream.keys(1)]), whole.keys(sum(parts) + 1))


def test_a_seed_of_its_own_counts_as_a_sample():
    stream, other = Stream(3), Stream(3)
    seeds = [stream.next_seed() for _ in range(3)]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**63 for seed in seeds)
    other.keys(2)
    assert other.next_seed() == seeds[2]
    assert torch.equal(other.keys(4), stream.keys(4))


def test_copies_go_on_along_paths_of_their_own_and_repeat():
    def run():
        stream = Stream(5)
        stream.keys(3)
        made = [stream, copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
        made.append(copy.copy(made[1]))
        return torch.cat([one.keys(4) for one in made])

    assert torch.equal(run(), run())
    assert len(run().unique()) == 20


def test_unseeded_streams_differ():
    assert not torch.equal(Stream(None).keys(3), Stream(None).keys(3))


def test_a_state_is_plain_and_goes_on():
    stream = copy.copy(Stream(2**90))
    stream.keys(7)
    state, following = stream.state(), stream.keys(5)
    other = Stream(None)
    other.restore(state)
    assert torch.equal(other.keys(5), following)
    assert all(type(value) in (str, int, list) for value in state.values())


def test_a_bad_seed_is_refused():
    with pytest.raises(ValueError, match="seed must be None or an int >= 0, got -1"):
        Stream(-1)

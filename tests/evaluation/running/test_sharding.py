"""How several processes under torchrun share an evaluation: claims, waiting, failures, devices."""

import pytest
from torch.distributed import HashStore, PrefixStore

from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.running.plan import Unit
from art_domainrand.evaluation.running.sharding import (
    Alone,
    Shared,
    chunks_of,
    claims_of_environment,
    local_device,
)


def shared(count):
    """So many processes' claims in one store."""
    store = PrefixStore("test", HashStore())
    return [Shared(store, rank, count, "run") for rank in range(count)]


def test_every_unit_is_claimed_once_and_in_order():
    one, other, third = shared(3)
    chunks = [[0], [1, 2], [3], [4, 5, 6]]
    first, second = one.claimed(chunks), other.claimed(chunks)
    seen = [next(first), next(second), next(first), next(second)]
    assert seen == [0, 1, 3, 2]
    assert other.done() == 2  # those that another was asked for after
    seen += [*first, *second]
    assert seen[4:] == [4, 5, 6]
    assert list(third.claimed(chunks)) == []
    assert third.done() == 7
    third.wait(7)


def test_who_waits_is_told_of_a_failure():
    one, other = shared(2)
    one.fail("disk full")
    with pytest.raises(EvaluationError, match="another process failed: process 0: disk full"):
        other.wait(1)
    with pytest.raises(EvaluationError, match="disk full"):
        other.begin()
    one.begin()
    one.leave()
    other.leave()


def test_a_store_that_is_gone_is_an_error_and_never_hides_another():
    class Gone:
        def add(self, key, amount):
            raise RuntimeError("Connection reset by peer\nC++ stack")

        set = add

    left = Shared(Gone(), 1, 2, "run")
    with pytest.raises(EvaluationError, match=r"does not answer: RuntimeError: Connection reset by peer$"):
        left.wait(1)
    left.fail("disk full")
    left.leave()


def test_who_holds_the_store_leaves_last():
    store = HashStore()
    holder, guest = Shared(store, 0, 2, "run", holds=True), Shared(store, 1, 2, "run")
    guest.leave()
    holder.leave()
    assert store.add("run/left", 0) == 2


def test_without_torchrun_or_a_folder_a_process_is_alone(monkeypatch):
    assert isinstance(claims_of_environment(shared=True), Alone)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert isinstance(claims_of_environment(shared=False), Alone)


def test_every_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "5")
    several = shared(8)[5]
    assert local_device("cuda", several, 4) == "cuda:1"
    assert local_device("cuda:0", several, 4) == "cuda:0"
    assert local_device(None, several, 4) is None
    assert local_device("cuda", Alone(), 4) == "cuda"


@pytest.mark.parametrize(("blocks", "world_size", "chunks"), [(2, 1, 2), (2, 2, 6), (16, 2, 16), (15, 2, 45)])
def test_whole_blocks_are_claimed_where_there_are_many(blocks, world_size, chunks):
    units = [Unit(number, number // 3, 0, (number % 3,)) for number in range(3 * blocks)]
    found = chunks_of(units, blocks, world_size)
    assert len(found) == chunks
    assert [unit for chunk in found for unit in chunk] == units

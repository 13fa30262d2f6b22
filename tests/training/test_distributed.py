"""Two processes under torchrun's agent: the same training, draws of their own, one writer, no hanging."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from art_domainrand.training.trainer.distributed import (
    Shard,
    all_gather,
    all_gather_object,
    all_reduce,
    broadcast_object,
    rank_and_world_size,
)

from support.distributed_run import EPOCHS, generated, own_draws, several
from support.processes import new_interpreter
from support.trainer import assert_same


@dataclass(frozen=True)
class Death:
    """What a run left whose second process was killed in its third epoch."""

    folder: Path
    said: str
    seconds: float
    epochs: int


@pytest.fixture(scope="module")
def death(tmp_path_factory: pytest.TempPathFactory) -> Death:
    """Two runs of two processes; in the first, one is killed."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    folder = tmp_path_factory.mktemp("two")
    found = json.loads(new_interpreter("distributed_run.py", folder))
    assert found["failure"] == ""
    assert found["left"] == []
    return Death(folder, found["said"], found["seconds"], found["epochs"])


@pytest.fixture(scope="module")
def ranks(death: Death) -> list[dict]:
    """What each of two processes found, after the one that was killed."""
    return [torch.load(death.folder / f"rank{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict:
    """The same in this process."""
    return several() | {"generator": generated(0)}


@pytest.mark.parametrize(
    "name", ["trades", "standard", "awp", "free", "ranges", "adversarial", "meta", "one image left", "generator"]
)
def test_two_ranks_match_one_at_the_same_global_batch(ranks: list[dict], alone: dict, name: str) -> None:
    for key, value in alone[name]["weights"].items():
        torch.testing.assert_close(ranks[0][name]["weights"][key], value, rtol=2e-3, atol=2e-4)
    for mine, other in zip(ranks[0][name]["history"], alone[name]["history"], strict=True):
        assert mine == pytest.approx(other, rel=2e-3, abs=0.04)  # an image in thirty may cross a boundary


@pytest.mark.parametrize(
    "name",
    [
        "trades",
        "standard",
        "awp",
        "free",
        "ranges",
        "adversarial",
        "meta",
        "one image left",
        "generator",
        "norm",
        "run",
    ],
)
def test_both_ranks_end_with_the_same_weights_and_metrics(ranks: list[dict], name: str) -> None:
    assert_same(ranks[0][name]["weights"], ranks[1][name]["weights"])
    assert ranks[0][name]["history"] == ranks[1][name]["history"]
    assert all(value.isfinite().all() for value in ranks[0][name]["weights"].values())


@pytest.mark.parametrize("what", ["start", "noise", "kept", "own"])
def test_every_rank_draws_its_own(ranks: list[dict], what: str) -> None:
    first, second = (found["draws"][what] for found in ranks)
    assert len(first) == len(second) == 4
    same = (first == second).float().mean()
    assert float(same) < (0.9 if what == "kept" else 0.1)
    if what == "start":
        assert float(first.abs().max()) > 0.05


@pytest.mark.parametrize("what", ["start", "noise"])
def test_a_sample_draws_the_same_whichever_process_has_it(ranks: list[dict], what: str) -> None:
    alone = own_draws(0, 1)[what]
    for rank, found in enumerate(ranks):
        assert torch.equal(found["draws"][what], alone[rank::2])


def test_only_the_first_rank_writes(ranks: list[dict], death: Death) -> None:
    folder = death.folder / "whole"
    assert ranks[0]["run"]["writes"].count("last.pt") == EPOCHS
    assert not ranks[1]["run"]["writes"]
    assert sorted(path.name for path in (folder / "checkpoint").iterdir()) == ["best.pt", "last.pt"]
    assert len(list((folder / "log").iterdir())) == 1


def test_a_killed_worker_stops_the_run_with_an_error(death: Death) -> None:
    # The agent names the process that it sees end first: the killed one, or the other one, which lost its peer.
    assert "SIGKILL" in death.said or "remote worker" in death.said
    assert death.seconds < 60
    assert death.epochs == EPOCHS - 1


def test_the_restart_goes_on_where_the_killed_run_stood(ranks: list[dict]) -> None:
    for found in ranks:
        assert found["resumed"]["history"] == found["run"]["history"]
        assert_same(found["resumed"]["weights"], found["run"]["weights"])


def test_parts_hold_every_row_once_and_weigh_as_many_as_they_are() -> None:
    for batch in (1, 2, 5, 8):
        for processes in (1, 2, 3):
            parts = [Shard.of(batch, rank, processes) for rank in range(processes)]
            rows = torch.cat([part.rows[: part.images] for part in parts])
            assert sorted(rows.tolist()) == list(range(batch))
            assert all(len(part.rows) >= 1 for part in parts)
            # The average over processes of share * (mean over the part) is the mean over the batch.
            values = torch.arange(batch).double() ** 2
            average = sum(part.share * float(values[part.rows].mean()) for part in parts) / processes
            assert average == pytest.approx(float(values.mean()))


def test_alone_nothing_is_sent() -> None:
    values = torch.arange(3.0)
    assert rank_and_world_size() == (0, 1)
    assert all_reduce(values) is values
    assert all_gather(values, [3]) is values
    assert broadcast_object("a") == "a"
    assert all_gather_object("a") == ["a"]

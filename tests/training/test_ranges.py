"""Curricula of ranges: what is drawn, and how boundaries move by accuracies that are planted."""

import pytest
import torch

from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.training.trainer import ranges as module
from art_domainrand.training.trainer.ranges import AutomaticRanges, Ranges

ONE = R.Pipeline([R.Brightness()])
CHOICES = R.Pipeline(
    [
        R.Flip(),
        R.Sometimes(R.Rotation(), 0.3),
        R.OneOf([R.Brightness(), R.Contrast(), R.Gamma()]),
        R.RandomCorruption(),
    ]
)


def draw(pipeline: R.Pipeline, n: int = 4000, seed: int = 0):
    return pipeline.sample(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_warm_up_draws_from_the_middle_share_of_every_range(share: float) -> None:
    ranges = Ranges(ONE)
    ranges.warm_up(share)
    u = ranges.place(draw(ONE)).u
    assert float(u.min()) == pytest.approx(0.5 - share / 2, abs=2e-3)
    assert float(u.max()) == pytest.approx(0.5 + share / 2, abs=2e-3)
    assert ranges.width == pytest.approx(share)


def test_full_ranges_leave_the_draw_as_it_is() -> None:
    point = draw(CHOICES)
    ranges = Ranges(CHOICES)
    ranges.warm_up(1.0)
    assert torch.equal(ranges.place(point).u, point.u)


def test_choices_keep_their_odds_however_narrow_the_ranges() -> None:
    ranges = Ranges(CHOICES)
    ranges.warm_up(0.1)
    before, after = draw(CHOICES), ranges.place(draw(CHOICES))
    moved = (before.u != after.u).any(0)
    degrees = [name.rpartition(".")[2] in ("angle", "shift", "factor", "gamma") for name in CHOICES.parameters]
    assert moved.tolist() == degrees


def teach(ranges: AutomaticRanges, pipeline: R.Pipeline, inside: float, low: float, high: float, rounds: int) -> None:
    """Planted accuracies: inside, and at the lower and the upper boundary of the first coordinate."""
    for seed in range(rounds):
        placed = ranges.place(draw(pipeline, 200, seed))
        u = placed.u[:, 0]
        odds = torch.full((200,), inside)
        odds[u == ranges.low[0]] = low
        odds[u == ranges.high[0]] = high
        order = torch.arange(200)
        # Exactly so many hits of each kind, without chance.
        hits = torch.zeros(200)
        for level in {inside, low, high}:
            rows = order[odds == level]
            hits[rows[: round(level * len(rows))]] = 1
        ranges.learn(hits, order)


def test_a_boundary_widens_where_accuracy_holds_and_narrows_where_it_fails() -> None:
    ranges = AutomaticRanges(ONE)
    start = (float(ranges.low[0]), float(ranges.high[0]))
    assert start == pytest.approx((0.45, 0.55))
    teach(ranges, ONE, inside=0.8, low=0.8, high=0.2, rounds=2)
    assert float(ranges.low[0]) == pytest.approx(0.40)
    assert float(ranges.high[0]) == pytest.approx(0.50)


def test_a_boundary_stays_between_the_two_thresholds() -> None:
    ranges = AutomaticRanges(ONE)
    teach(ranges, ONE, inside=1.0, low=0.8, high=0.8, rounds=6)
    assert (float(ranges.low[0]), float(ranges.high[0])) == pytest.approx((0.45, 0.55))


def test_nothing_is_judged_before_the_buffer_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFER", 10_000)
    ranges = AutomaticRanges(ONE)
    teach(ranges, ONE, inside=0.8, low=0.8, high=0.8, rounds=4)
    assert ranges.width == pytest.approx(0.1)
    assert 100 < float(ranges.seen.sum()) < 700  # half of 800 images


def test_ranges_never_leave_the_range_nor_cross_their_middle() -> None:
    wide, narrow = AutomaticRanges(ONE), AutomaticRanges(ONE)
    teach(wide, ONE, inside=0.8, low=0.9, high=0.9, rounds=40)
    assert (float(wide.low[0]), float(wide.high[0])) == (0.0, 1.0)
    assert wide.width == 1
    teach(narrow, ONE, inside=0.9, low=0.0, high=0.0, rounds=20)
    assert (float(narrow.low[0]), float(narrow.high[0])) == (0.5, 0.5)


def test_half_of_the_images_are_drawn_at_a_boundary_evenly_over_boundaries() -> None:
    pipeline = R.Pipeline([R.Brightness(), R.Contrast(), R.Rotation()])
    ranges = AutomaticRanges(pipeline)
    u = ranges.place(draw(pipeline, 6000)).u
    shares = torch.stack(((u == ranges.low).float().mean(0), (u == ranges.high).float().mean(0)))
    torch.testing.assert_close(shares, torch.full((2, 3), 0.5 / 6), atol=0.015, rtol=0)


def test_images_whose_gate_is_shut_say_nothing_of_the_boundary() -> None:
    pipeline = R.Pipeline([R.Sometimes(R.Rotation(), 0.3)])
    ranges = AutomaticRanges(pipeline)
    placed = ranges.place(draw(pipeline, 4000))
    gate, angle = placed.u.unbind(1)
    at = (angle == ranges.low[1]) | (angle == ranges.high[1])
    assert bool((gate[at] < 0.3).all())
    assert float(at.float().mean()) == pytest.approx(0.15, abs=0.02)
    assert (float(ranges.low[0]), float(ranges.high[0])) == (0.0, 1.0)


def test_the_state_goes_on_where_it_was() -> None:
    whole, first = AutomaticRanges(ONE), AutomaticRanges(ONE)
    teach(whole, ONE, inside=0.8, low=0.8, high=0.3, rounds=7)
    teach(first, ONE, inside=0.8, low=0.8, high=0.3, rounds=3)
    second = AutomaticRanges(ONE)
    second.load(first.state())
    for seed in range(3, 7):
        placed = second.place(draw(ONE, 200, seed))
        odds = torch.full((200,), 0.8)
        odds[placed.u[:, 0] == second.high[0]] = 0.3
        hits = torch.zeros(200)
        for level in (0.8, 0.3):
            rows = (odds == level).nonzero().flatten()
            hits[rows[: round(level * len(rows))]] = 1
        second.learn(hits, torch.arange(200))
    assert torch.equal(second.high, whole.high)
    assert set(second.state()) == {"movable", "low", "high", "hits", "seen", "inside"}


def test_a_pipeline_of_choices_alone_is_left_alone() -> None:
    pipeline = R.Pipeline([R.Flip()])
    ranges = AutomaticRanges(pipeline)
    point = draw(pipeline, 50)
    assert torch.equal(ranges.place(point).u, point.u)
    ranges.learn(torch.ones(50), torch.arange(50))
    assert ranges.width == 1

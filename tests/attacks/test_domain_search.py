"""The search for one batch, led by an evaluator that says what it is told to."""

import torch
from torch import Tensor

from art_domainrand.attacks.engine.draw_search import Cube, DrawPlan, DrawRegion, DrawSearch
from art_domainrand.attacks.engine.evaluator import Assessment
from art_domainrand.attacks.engine.space import DrawPoints, WorstPoints


class Told:
    """A space in which values fall from step to step, and the first trial alone looks bad."""

    around = None

    def __init__(self) -> None:
        self.climbed: list[DrawPoints] = []
        self.trials = 0

    def evaluate(self, point: DrawPoints, rows: Tensor) -> tuple[Assessment, DrawPoints]:
        value = torch.full((len(rows),), -float(len(self.climbed)))
        self.climbed.append(point)
        zero = torch.zeros(len(rows), 1)
        return Assessment(zero, value, value > 0, value), DrawPoints(torch.ones(len(rows), 2), point.seeds)

    def look(self, point: DrawPoints, rows: Tensor) -> tuple[Tensor, Tensor]:
        self.trials += 1
        margin = torch.full((len(rows),), 10.0 if self.trials == 1 else -100.0)
        return margin > 0, margin


def search(space: Told) -> tuple[DrawSearch, WorstPoints]:
    region = DrawRegion(Cube.of(1.0), torch.ones(2, dtype=torch.bool), torch.ones(2, dtype=torch.bool), seeded=True)
    found = DrawSearch(space, region, torch.arange(3), None, early_stop=False)  # type: ignore[arg-type]
    return found, WorstPoints.over(DrawPoints(torch.full((3, 2), 0.5), torch.tensor([7, 8, 9])))


def test_a_sample_that_goes_back_to_its_best_point_gets_its_noise_back_too():
    space = Told()
    found, start = search(space)
    found.climb(start, torch.arange(3), DrawPlan(0, 1, 10, climbs=True, tries=True))
    seeds = [point.seeds.tolist() for point in space.climbed]
    # The first trial wins and brings other noise; at the first checkpoint, after two steps, all go back to the start.
    assert seeds[0] == [7, 8, 9]
    assert not set(seeds[1]) & {7, 8, 9}
    assert seeds[2] == seeds[1]
    assert seeds[3] == [7, 8, 9]


def test_steps_go_uphill_and_halve():
    space = Told()
    found, start = search(space)
    found.climb(start, torch.arange(3), DrawPlan(0, 1, 10, climbs=True, tries=False))
    u = torch.stack([point.u[0, 0] for point in space.climbed])
    # The first step is half as wide as the range but for the momentum; a later one, from the start again, half of that.
    torch.testing.assert_close(u[1], torch.tensor(0.5 + 0.75 * 0.5), atol=1e-6, rtol=0)
    assert u[3] < u[1]
    assert (u >= 0.5).all()


def test_the_worst_point_is_a_success_first_and_then_the_largest_margin():
    track = WorstPoints.over(DrawPoints(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64)))
    row = torch.zeros(1, dtype=torch.int64)
    # Value offered, whether it fools, margin, whether it is taken.
    for u, fooled, margin, taken in [
        (1, False, -torch.inf, True),
        (2, False, -3.0, True),
        (3, False, -4.0, False),
        (4, True, -5.0, True),
        (5, False, 9.0, False),
        (6, True, -5.0, False),
        (7, True, 2.0, True),
    ]:
        offered = DrawPoints(torch.full((1, 1), float(u)), row)
        assert bool(track.offer(row, offered, torch.tensor([fooled]), torch.tensor([margin]))) is taken
        assert (float(track.points.u) == u) is taken
    again = DrawPoints(torch.full((1, 1), 8.0), row)
    assert not track.offer(row, again, torch.tensor([True]), torch.tensor([2.0]), drift=True)
    assert float(track.points.u) == 8

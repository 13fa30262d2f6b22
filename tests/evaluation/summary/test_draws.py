"""Random defences draw by draw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from art_domainrand.evaluation.conditions import Attacked, Clean, Randomized
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary import DrawSummary, draw_summary, drawn_conditions

from support.summary import share, tabled

PGD = Attacked("pgd", 0.1)


def test_by_hand():
    """Four samples: always right, never right, right in the first draw, right in the last two."""
    right = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]], bool)
    found = draw_summary(tabled({"m": {PGD: right}}), "m", PGD.name)
    assert found.expected == Row.share("m", PGD.name, 0.5, 4)
    assert [row.accuracy for row in found.per_draw] == [0.5, 0.5, 0.5]
    assert [row.accuracy for row in found.worst_of] == [0.5, 0.25, 0.25]
    assert [row.accuracy for row in found.best_of] == [0.5, 0.75, 0.75]
    assert (found.spread, found.changed) == (0, 0.5)
    assert found.worst_of[1] == Row.count("m", "worst of 2", 1, 4)
    assert DrawSummary.from_json(found.to_json()) == found


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_more_draws_can_only_lose_or_find_more(data):
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=6))
    right = data.draw(arrays(bool, shape))
    found = draw_summary(tabled({"m": {PGD: right}}), "m", PGD.name)
    worst, best = ([row.accuracy for row in rows] for rows in (found.worst_of, found.best_of))
    assert worst == sorted(worst, reverse=True)
    assert best == sorted(best)
    assert worst[0] == best[0] == found.per_draw[0].accuracy
    assert worst[-1] <= min(row.accuracy for row in found.per_draw) <= found.expected.accuracy + 1e-12
    assert best[-1] - worst[-1] == pytest.approx(found.changed)
    assert found.spread == pytest.approx(np.std(right.mean(1), ddof=1) if len(right) > 1 else 0)


def test_a_single_draw_is_a_summary_of_one():
    evaluation = tabled({"m": {Clean(): share(3, 5), Randomized("sim2real", 2): [share(3, 5), share(4, 5)]}})
    found = draw_summary(evaluation, "m", "clean")
    assert found.worst_of[0].accuracy == found.best_of[0].accuracy == found.expected.accuracy == 0.6
    assert found.spread == found.changed == 0
    assert drawn_conditions(evaluation, "m") == ("randomized sim2real x2",)
    with pytest.raises(ValueError, match="did you mean 'clean'"):
        draw_summary(evaluation, "m", "clear")

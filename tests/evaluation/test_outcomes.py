"""The outcome table: its order, what it refuses, and how rows are found in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_domainrand.evaluation.outcomes import OUTCOME, SORTED_BY, Outcomes, ascending

from support.evaluation import made_up, outcome_rows

MODELS, CONDITIONS, CLASSES = ("a", "b"), ("x", "y", "z"), ("one", "two")


def rows_of(keys):
    rows = np.zeros(len(keys), OUTCOME)
    for name, column in zip(SORTED_BY, np.array(keys, dtype=int).reshape(-1, 4).T, strict=True):
        rows[name] = column
    return rows


KEYS = st.lists(st.tuples(*[st.integers(0, 2)] * 4), max_size=8)


@settings(max_examples=300, deadline=None)
@given(KEYS)
def test_ascending_is_what_python_says_of_tuples(keys):
    assert ascending(rows_of(keys)) == (keys == sorted(set(keys)))
    assert ascending(rows_of(sorted(set(keys))))


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(6)))
def test_parts_in_any_order_are_one_table(order):
    parts = [outcome_rows(m, c, np.ones((c + 1, 4), bool), classes=2) for m in range(2) for c in range(3)]
    table = Outcomes.joined([parts[k][::-1] for k in order], MODELS, CONDITIONS, CLASSES)
    assert table.rows.tobytes() == np.concatenate(parts).tobytes()


def test_rows_are_found_as_by_looking_at_each():
    table = made_up(n=30).outcomes
    for m, model in enumerate(table.models):
        for c, condition in enumerate(table.conditions):
            chosen = table.rows[(table.rows["model"] == m) & (table.rows["condition"] == c)]
            found = table.of(model, condition)
            assert found.shape[1] == 30
            assert found.T.tobytes() == chosen.tobytes()
            assert (found["draw"] == np.arange(len(found))[:, None]).all()


def test_what_is_not_there_is_said():
    table = Outcomes.joined([outcome_rows(0, 1, np.ones((1, 2), bool), classes=2)], MODELS, CONDITIONS, CLASSES)
    with pytest.raises(KeyError, match="'c' is not among"):
        table.of("c", "x")
    for model, condition in (("a", "x"), ("a", "z"), ("b", "y")):
        with pytest.raises(KeyError, match=f"no outcome of '{model}' in '{condition}'"):
            table.of(model, condition)
    assert table.of("a", "y").shape == (1, 2)
    assert len(Outcomes.joined([], MODELS, CONDITIONS, CLASSES).samples) == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros(2, OUTCOME), "be sorted by model, condition, sample, draw and hold each once"),
        (rows_of([(1, 0, 0, 0), (0, 0, 0, 0)]), "be sorted by"),
        (rows_of([(2, 0, 0, 0)]), "model must be from 0 to 1"),
        (rows_of([(0, 3, 0, 0)]), "condition must be from 0 to 2"),
        (np.zeros(2), "rows must be"),
    ],
)
def test_what_is_no_table_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        Outcomes(rows, MODELS, CONDITIONS, CLASSES)

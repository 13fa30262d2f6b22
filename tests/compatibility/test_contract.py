"""Every component of ART beside domain randomization and beside our attacks, and the guide's table of them."""

from pathlib import Path

import pytest
from compatibility.components import ROWS
from compatibility.contract import ATTACKS, Row
from compatibility.write_table import GUIDE, table, with_table

TESTS = Path(__file__).parent.parent
BY_ATTACK = [pytest.param(row, name, id=f"{row.key}-{name}") for row in ROWS for name in row.attacks]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_with_randomization(row: Row) -> None:
    row.randomized()


@pytest.mark.parametrize(("row", "attack"), BY_ATTACK)
def test_with_attacks(row: Row, attack: str) -> None:
    if attack not in row.refuses:
        row.attacked(ATTACKS[attack])
        return
    with pytest.raises((TypeError, ValueError), match=row.refuses[attack]):
        row.attacked(ATTACKS[attack])


def test_guide_shows_these_rows() -> None:
    """The guide's table is the one the rows make; ``tests/compatibility/write_table.py`` brings it up to date."""
    text = GUIDE.read_text(encoding="utf-8")
    assert table(ROWS) in text
    assert with_table(text, ROWS) == text


def test_rows_are_told_apart() -> None:
    assert len({row.key for row in ROWS}) == len({row.component for row in ROWS}) == len(ROWS)
    assert all(set(row.refuses) <= set(row.attacks) <= set(ATTACKS) for row in ROWS)


@pytest.mark.parametrize("name", sorted({name for row in ROWS for name in row.elsewhere}))
def test_tests_named_elsewhere_exist(name: str) -> None:
    file, function = name.split("::")
    (path,) = TESTS.rglob(file)
    assert f"\ndef {function}(" in path.read_text(encoding="utf-8")

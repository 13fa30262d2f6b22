"""The table of what Kornia computes: every reason in it holds."""

from pathlib import Path

import pytest
import torch
from benchmarks.kornia_rows import (
    FUSION,
    GRADIENT,
    NONE,
    OTHER,
    PART,
    REASONS,
    REPLAY,
    ROWS,
    SPEED,
    apply_ours,
    gradients_compared,
    same_bits_when_sliced,
    values_for,
)

from art_domainrand.randomization.core.transform import Kind

GUIDE = Path(__file__).parents[1] / "examples" / "guides" / "randomization.md"
BY_NAME = {row.name: row for row in ROWS}
COMPARED = [row.name for row in ROWS if row.theirs is not None]


def rows_for(reason):
    return [row.name for row in ROWS if reason in row.why]


def both(row, shape=(8, 3, 32, 32)):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    transform = row.made()
    values = values_for(transform, len(x))
    return apply_ours(row, x, values, transform), row.theirs(x, values, transform)


def test_a_row_has_known_reasons_and_something_to_compare_or_none():
    for row in ROWS:
        assert set(row.why) <= set(REASONS)
        assert (row.theirs is None) == (row.why in ((NONE,), (PART,))), row.name
        assert bool(row.why) == (not row.by.startswith("Kornia") or row.name == "rotation"), row.name


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.theirs and not row.why])
def test_what_is_kornias_is_kornias_to_the_bit(name):
    ours, theirs = both(BY_NAME[name])
    assert torch.equal(ours, theirs)
    assert gradients_compared(BY_NAME[name]) == "same"
    assert same_bits_when_sliced(BY_NAME[name])


@pytest.mark.parametrize("name", rows_for(GRADIENT))
def test_a_gradient_that_is_called_missing_or_wrong_is(name):
    assert gradients_compared(BY_NAME[name]) != "same"


@pytest.mark.parametrize("name", rows_for(REPLAY))
def test_a_result_that_is_said_to_depend_on_the_batch_or_the_global_generator_does(name):
    torch.manual_seed(0)
    assert not same_bits_when_sliced(BY_NAME[name])


@pytest.mark.parametrize("name", rows_for(FUSION))
def test_what_is_said_to_fuse_does(name):
    assert BY_NAME[name].made().kind is not Kind.PIXEL


@pytest.mark.parametrize("name", [name for name in rows_for(OTHER) if not BY_NAME[name].random])
def test_what_is_called_another_result_is_one(name):
    ours, theirs = both(BY_NAME[name])
    assert (ours - theirs).abs().max() > 1e-2


@pytest.mark.parametrize(
    "name",
    [row.name for row in ROWS if row.theirs and set(row.why) & {SPEED} and not set(row.why) & {GRADIENT, OTHER}],
)
def test_what_is_ours_for_its_speed_computes_the_same(name):
    ours, theirs = both(BY_NAME[name])
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def published():
    """Name -> the cells of the guide's table."""
    table = GUIDE.read_text().partition("<!-- table: ")[2].partition("<!-- end")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: [cell.strip() for cell in line.strip("|").split("|")] for line in lines}


def test_the_guide_has_the_rows_as_they_are():
    cells = published()
    assert {row.name for row in ROWS if row.why != (NONE,)} <= set(cells) <= set(BY_NAME)
    for name in cells:
        row = BY_NAME[name]
        assert cells[name][1:3] == [row.kornia, row.by]
        assert cells[name][3].startswith(", ".join(row.why))


@pytest.mark.parametrize("name", rows_for(SPEED))
def test_the_published_numbers_bear_out_the_speed(name):
    assert max(float(cell) for cell in published()[name][7:] if cell) >= 1.3


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.theirs and not row.why])
def test_what_is_kornias_is_not_slower_for_it_in_the_published_numbers(name):
    assert all(0.7 <= float(cell) <= 1.3 for cell in published()[name][7:])

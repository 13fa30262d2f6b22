"""Rows, reports, their JSON and their table."""

import json
import math

import pytest

from art_domainrand.evaluation import Report, Row, table

ROWS = (
    Row.count("standard", "clean", 98, 100),
    Row.count("standard", "pgd", 0, 100),
    Row.count("both", "clean", 100, 100),
    Row.count("both", "pgd", 61, 100),
)


@pytest.mark.parametrize(("correct", "n"), [(0, 397), (1, 1), (8, 10), (200, 397), (397, 397)])
def test_the_interval_is_wilsons(correct, n):
    z, p = 1.959963984540054, correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    row = Row.count("m", "c", correct, n)
    assert row.accuracy == p
    assert row.low == pytest.approx(centre - half, abs=1e-12)
    assert row.high == pytest.approx(centre + half, abs=1e-12)


@pytest.mark.parametrize(("correct", "n"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(correct, n):
    with pytest.raises(ValueError, match=f"got correct={correct}, n={n}"):
        Row.count("m", "c", correct, n)


def test_impossible_rows_are_refused():
    with pytest.raises(ValueError, match="in order and in"):
        Row("m", "c", accuracy=0.5, low=0.6, high=0.7, n=3)
    with pytest.raises(ValueError, match="n must be >= 1, got 0"):
        Row("m", "c", accuracy=0.5, low=0.4, high=0.7, n=0)


def test_a_report_survives_its_file(tmp_path):
    report = Report(ROWS, {"seed": 3, "versions": {"torch": "2"}})
    report.save(tmp_path / "deep" / "report.json")
    assert Report.load(tmp_path / "deep" / "report.json") == report


def test_the_json_has_metadata_on_top_and_plain_rows():
    content = json.loads(Report(ROWS[:1], {"seed": 3}).to_json())
    assert set(content) == {"seed", "rows"}
    (row,) = content["rows"]
    assert set(row) == {"model", "cell", "accuracy", "low", "high", "n"}
    assert (row["model"], row["cell"], row["accuracy"], row["n"]) == ("standard", "clean", 0.98, 100)


@pytest.mark.parametrize(
    "change", [{"accuracy": "0.5"}, {"low": None}, {"n": 3.0}, {"n": True}, {"model": 3}, {"cell": ["clean"]}]
)
def test_values_of_another_kind_are_refused(change):
    (row,) = json.loads(Report(ROWS[:1]).to_json())["rows"]
    with pytest.raises(ValueError, match="each of rows must have texts, numbers and a whole n, got"):
        Report.from_json(json.dumps({"rows": [row | change]}))


@pytest.mark.parametrize("text", ["[]", "{}", '{"rows": 1}', '{"rows": [{"model": "a"}]}', '{"rows": [3]}'])
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match="rows"):
        Report.from_json(text)


def test_a_report_answers_for_its_rows():
    report = Report(ROWS)
    assert report.models == ("standard", "both")
    assert report.cells == ("clean", "pgd")
    assert report.row("both", "pgd") is ROWS[3]
    assert report.gain("both", "standard", "pgd") == pytest.approx(61)
    with pytest.raises(KeyError, match="no row"):
        report.row("both", "fgsm")


def test_a_report_has_each_row_once_and_room_for_rows():
    with pytest.raises(ValueError, match="twice"):
        Report((*ROWS, ROWS[0]))
    with pytest.raises(ValueError, match="metadata must not"):
        Report(ROWS, {"rows": 1})


def test_the_table_lines_up_and_marks_what_is_missing():
    lines = table(Report(ROWS[:3]), {"pgd": "PGD"}).splitlines()
    assert lines[0].split() == ["model", "clean", "PGD"]
    assert lines[2].startswith("standard   98.0 [93.0, 99.4]")
    assert lines[2].endswith("  0.0 [0.0, 3.7]")
    assert lines[3].endswith("-")
    assert lines[3].index("100.0") == lines[2].index(" 98.0")


def test_the_table_takes_the_rows_of_a_report_too():
    rows = (Row.count("a", "clean", 9, 10), Row.count("a", "pgd", 3, 10))
    assert table(rows) == table(list(rows)) == table(iter(rows)) == table(Report(rows))
    with pytest.raises(TypeError, match=r"^rows must hold rows, got str$"):
        table("accuracy")
    with pytest.raises(ValueError, match="each model and cell once"):
        table(rows + rows)

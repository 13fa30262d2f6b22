"""A report as text."""

from collections.abc import Iterable, Mapping

from art_domainrand.evaluation.results import Report, Row


def table(report: Report | Iterable[Row], titles: Mapping[str, str] | None = None) -> str:
    """Lay a report out in columns: a line for each model, a column for each cell, "accuracy [low, high]" in percent.

    A model that was not judged in a cell has "-" there.

    :param report: the report, or the rows of one, as :func:`evaluate` returns them.
    :param titles: headings for some of the cells, by name; the others have their name.
    """
    report = report if isinstance(report, Report) else Report(tuple(report))
    titles = titles or {}
    found = {(row.model, row.cell): row for row in report.rows}
    lines = [["model", *(titles.get(cell, cell) for cell in report.cells)]]
    lines += [[model, *(entry(found.get((model, cell))) for cell in report.cells)] for model in report.models]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def entry(row: Row | None) -> str:
    """One cell of the table."""
    if row is None:
        return "-"
    return f"{100 * row.accuracy:5.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"

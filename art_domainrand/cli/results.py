"""An evaluation as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.summary import verdict
from art_domainrand.evaluation.table import entry


def result_lines(evaluation: Evaluation) -> list[str]:
    """The verdicts, and a table with a line for each condition and a column for each model.

    :param evaluation: what was found.
    """
    lines = [verdict(evaluation, model).sentence for model in evaluation.models]
    rows = [
        [name, *(entry(evaluation.accuracy(model, name)) for model in evaluation.models)]
        for name in evaluation.conditions
    ]
    return [*lines, "", "Accuracy in %, with 95% intervals", "", *columns([["condition", *evaluation.models], *rows])]


def columns(rows: Iterable[list[str]]) -> list[str]:
    """Rows of text in columns, the first one a heading with a rule below it."""
    first, *others = rows
    widths = [max(len(row[place]) for row in [first, *others]) for place in range(len(first))]
    table = [first, ["-" * width for width in widths], *others]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]

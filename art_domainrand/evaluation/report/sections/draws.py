"""Random defences and random conditions, draw by draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.figures.lines import Line, line_figure
from art_domainrand.evaluation.report.text import share_text
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.draws import DrawSummary, draw_summary, drawn_conditions

MOST_DRAWN = 12
"""Figures that are drawn; of more conditions there are the numbers in the table of conditions."""

LINE_NAMES = "this draw alone", "right in every draw so far", "right in any draw so far"


@dataclass(frozen=True)
class DrawFigure:
    """One model in one condition, draw by draw.

    :param key: a word that no other figure has.
    :param title: the condition, and the model where there are several.
    :param svg: the figure.
    :param names: what its lines are called.
    :param summary: the numbers.
    """

    key: str
    title: str
    svg: Markup
    names: tuple[str, ...]
    summary: DrawSummary


def draw_figures(evaluation: Evaluation) -> tuple[DrawFigure, ...]:
    """A figure for each model and condition with several draws."""
    found = [
        draw_summary(evaluation, model, condition)
        for model in evaluation.models
        for condition in drawn_conditions(evaluation, model)
    ]
    several = len(evaluation.models) > 1
    return tuple(figure_of_draws(f"draws-{k}", one, several=several) for k, one in enumerate(found[:MOST_DRAWN]))


def figure_of_draws(key: str, summary: DrawSummary, *, several: bool) -> DrawFigure:
    """The figure of one model in one condition."""
    title = f"{summary.condition}, {summary.model}" if several else summary.condition
    lines = [
        Line(name, tuple(enumerate(rows, 1)), joined=place > 0)
        for place, (name, rows) in enumerate(
            zip(LINE_NAMES, (summary.per_draw, summary.worst_of, summary.best_of), strict=True)
        )
    ]
    svg = line_figure(key, f"Accuracy draw by draw: {title}", draw_words(summary), lines, "draw", whole=True)
    return DrawFigure(key, title, svg, LINE_NAMES, summary)


def draw_words(summary: DrawSummary) -> str:
    """What the figure shows, for those who do not see it."""
    return (
        f"{len(summary.per_draw)} draws, from {share_text(lowest(summary.per_draw))} to "
        f"{share_text(max(row.accuracy for row in summary.per_draw))}; right in every draw: "
        f"{share_text(summary.worst_of[-1].accuracy)}, in any: {share_text(summary.best_of[-1].accuracy)}."
    )


def lowest(rows: Sequence[Row]) -> float:
    """The lowest accuracy."""
    return min(row.accuracy for row in rows)

"""Accuracy as lines with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from art_domainrand.evaluation.report.figures.svg import SERIES, drawn
from art_domainrand.evaluation.results import Row


@dataclass(frozen=True)
class LineStyle:
    """What tells a line from the others, where colours do not.

    :param marker: the marker, as matplotlib calls it.
    :param dashes: lengths of dashes and gaps in units of the width; empty for a solid line.
    :param path: the marker as the path of an SVG, around (17, 7).
    """

    marker: str
    dashes: tuple[float, ...]
    path: str

    @property
    def matplotlib(self) -> Any:
        """The dashes as matplotlib takes them."""
        return (0, self.dashes) if self.dashes else "-"


STYLES = (
    LineStyle("o", (), "M13 7a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"),
    LineStyle("s", (5, 2), "M13.5 3.5h7v7h-7z"),
    LineStyle("^", (1.5, 1.5), "M17 2.5l4.5 8h-9z"),
    LineStyle("D", (6, 1.5, 1, 1.5), "M17 2l5 5l-5 5l-5 -5z"),
    LineStyle("v", (9, 3), "M17 11.5l4.5 -8h-9z"),
    LineStyle("X", (3, 3), "M14 2l3 3l3 -3l2 2l-3 3l3 3l-2 2l-3 -3l-3 3l-2 -2l3 -3l-3 -3z"),
)
"""One for each of the colours of the series."""


@dataclass(frozen=True)
class Line:
    """One line of a figure.

    :param name: what it is called.
    :param points: places along the horizontal axis, ascending, and accuracies.
    """

    name: str
    points: tuple[tuple[float, Row], ...]


def line_figure(key: str, title: str, description: str, lines: Sequence[Line], label: str) -> Markup:
    """Accuracy in percent as lines over their 95% bands.

    :param key: as in :func:`~art_domainrand.evaluation.report.figures.svg.drawn`.
    :param title: the figure's name.
    :param description: what is to be seen in it.
    :param lines: at most as many as there are :data:`STYLES`.
    :param label: what the horizontal axis is.
    """

    def draw(ax: Axes) -> None:
        for colour, style, line in zip(SERIES, STYLES, lines, strict=False):
            x, rows = zip(*line.points, strict=True)
            ax.fill_between(x, [r.low for r in rows], [r.high for r in rows], color=colour, alpha=0.15, linewidth=0)
            ax.plot(
                x,
                [row.accuracy for row in rows],
                color=colour,
                marker=style.marker,
                linestyle=style.matplotlib,
                markersize=5.5,
                linewidth=1.8,
            )
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 5, 10]))
        ax.set(xlabel=label, ylabel="accuracy", ylim=(-0.02, 1.02))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))

    return drawn(key, title, description, draw)

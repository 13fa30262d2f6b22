"""Accuracy as lines with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from art_domainrand.evaluation.report.figures.svg import MUTED, SERIES, drawn
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
    :param joined: whether the points are joined and have a band, or each stands alone with a bar.
    """

    name: str
    points: tuple[tuple[float, Row], ...]
    joined: bool = True


def line_figure(
    key: str,
    title: str,
    description: str,
    lines: Sequence[Line],
    label: str,
    *,
    whole: bool = False,
    diagonal: bool = False,
) -> Markup:
    """Accuracy in percent as lines over their 95% bands.

    :param key: as in :func:`~art_domainrand.evaluation.report.figures.svg.drawn`.
    :param title: the figure's name.
    :param description: what is to be seen in it.
    :param lines: at most as many as there are :data:`STYLES`.
    :param label: what the horizontal axis is.
    :param whole: whether its values are whole numbers.
    :param diagonal: whether it is a share as well, to be compared with the accuracy.
    """

    def draw(ax: Axes) -> None:
        if diagonal:
            ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        for colour, style, line in zip(SERIES, STYLES, lines, strict=False):
            draw_line(ax, line, style, colour)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=whole, steps=[1, 2, 4, 5, 10]))
        ax.set(xlabel=label, ylabel="accuracy", ylim=(-0.02, 1.02))
        if diagonal:
            ax.set_xlim(-0.02, 1.02)
        for axis in (ax.xaxis, ax.yaxis) if diagonal else (ax.yaxis,):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))

    return drawn(key, title, description, draw)


def draw_line(ax: Axes, line: Line, style: LineStyle, colour: str) -> None:
    """Draw one line and its band, or its points and their bars."""
    x, rows = zip(*line.points, strict=True)
    accuracies, low, high = zip(*((row.accuracy, row.low, row.high) for row in rows), strict=True)
    if line.joined:
        ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    else:
        ax.vlines(x, low, high, color=colour, linewidth=1.2)
    dashes = style.matplotlib if line.joined else "none"
    ax.plot(x, accuracies, color=colour, marker=style.marker, linestyle=dashes, markersize=5.5, linewidth=1.8)

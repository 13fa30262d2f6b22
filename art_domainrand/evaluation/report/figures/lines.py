"""Accuracy as lines with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from art_domainrand.evaluation.report.figures.svg import SERIES, drawn
from art_domainrand.evaluation.report.text import number_text, share_text
from art_domainrand.evaluation.results import Row

STYLES = (("o", "-"), ("s", (0, (5, 2))), ("^", (0, (1, 1.5))), ("D", (0, (5, 1.5, 1, 1.5))), ("v", "-"), ("P", "-"))
"""Marker and dashes of each series: what colour says, they say too."""


@dataclass(frozen=True)
class Line:
    """One line of a figure.

    :param name: what it is called.
    :param points: places along the horizontal axis, ascending, and accuracies.
    """

    name: str
    points: tuple[tuple[float, Row], ...]


def line_figure(key: str, title: str, lines: Sequence[Line], label: str) -> Markup:
    """Accuracy in percent as lines over their 95% bands.

    :param key: as in :func:`~art_domainrand.evaluation.report.figures.svg.drawn`.
    :param title: the figure's name.
    :param lines: at most as many as there are styles.
    :param label: what the horizontal axis is.
    """

    def draw(ax: Axes) -> None:
        for colour, (marker, dashes), line in zip(SERIES, STYLES, lines, strict=False):
            x, rows = zip(*line.points, strict=True)
            ax.plot(
                x, [row.accuracy for row in rows], color=colour, marker=marker, linestyle=dashes, markersize=5, lw=1.8
            )
            ax.fill_between(x, [r.low for r in rows], [r.high for r in rows], color=colour, alpha=0.14, linewidth=0)
        ax.set(xlabel=label, ylabel="accuracy", ylim=(-0.02, 1.02))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))

    return drawn(key, title, " ".join(map(line_words, lines)), draw)


def line_words(line: Line) -> str:
    """What a line shows, for those who do not see it."""
    (start, first), (end, last) = line.points[0], line.points[-1]
    return (
        f"{line.name}: from {share_text(first.accuracy)} at {number_text(start)} "
        f"to {share_text(last.accuracy)} at {number_text(end)}."
    )

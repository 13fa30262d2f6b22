"""Accuracy as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from art_domainrand.evaluation.report.figures.svg import INK, SERIES, WIDTH, drawn
from art_domainrand.evaluation.report.text import shortened, visible
from art_domainrand.evaluation.results import Row

LONGEST_LABEL = 20
"""Characters of a name beside a bar; the whole name is in the table."""


@dataclass(frozen=True)
class Bar:
    """A bar with its interval, and a mark to compare it with.

    :param name: what it is called.
    :param row: how long it is.
    :param before: where the mark is; None for none.
    """

    name: str
    row: Row
    before: Row | None


def bar_figure(key: str, title: str, description: str, bars: Sequence[Bar]) -> Markup:
    """Horizontal bars from top to bottom, with 95% intervals.

    :param key: as in :func:`~art_domainrand.evaluation.report.figures.svg.drawn`.
    :param title: the figure's name.
    :param description: what is to be seen in it.
    :param bars: at least one.
    """

    def draw(ax: Axes) -> None:
        places = range(len(bars))
        lengths = [bar.row.accuracy for bar in bars]
        ax.barh(places, lengths, height=0.62, color=SERIES[0], alpha=0.5, linewidth=0)
        ax.hlines(places, [bar.row.low for bar in bars], [bar.row.high for bar in bars], color=INK, linewidth=1.4)
        marked = [(bar.before.accuracy, place) for place, bar in enumerate(bars) if bar.before is not None]
        if marked:
            x, y = zip(*marked, strict=True)
            ax.plot(x, y, color=SERIES[1], marker="s", markersize=5.5, linestyle="none", clip_on=False)
        ax.set_yticks(places, [shortened(visible(bar.name), LONGEST_LABEL) for bar in bars])
        ax.set(xlim=(0, 1.02), ylim=(len(bars) - 0.4, -0.6), xlabel="accuracy")
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")

    return drawn(key, title, description, draw, width=WIDTH, height=60 + 20 * len(bars))

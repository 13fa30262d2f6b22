"""Accuracy against the radius of an attack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from art_domainrand.evaluation.conditions.kinds import Attacked, Condition, Then
from art_domainrand.evaluation.conditions.names import eps_text
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.figures.lines import STYLES, Line, line_figure
from art_domainrand.evaluation.report.text import share_text
from art_domainrand.evaluation.report.wording import family_in_words
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.curves import Curve, curve, families

FEWEST_RADII = 2
"""Radii above 0 from which on there is a curve to draw; one is a number in the table of conditions."""

MOST_FIGURES = 12
"""Figures that are drawn; of more curves there are the numbers in the table of conditions."""

NORM_WORDS = {"linf": "L\N{INFINITY}", "l2": "L2", "l1": "L1", "l0": "L0"}


@dataclass(frozen=True)
class CurveFigure:
    """Curves over one norm: of several models under one attack, or of one model under several.

    :param key: a word that no other figure has.
    :param title: what they have in common.
    :param svg: the figure.
    :param names: what each line is called.
    :param eps: the radii, as text.
    :param rows: for each radius, the accuracy of each line; None where there is none.
    :param areas: the mean accuracy of each line over the radii from 0 to its largest; None where that is not known.
    """

    key: str
    title: str
    svg: Markup
    names: tuple[str, ...]
    eps: tuple[str, ...]
    rows: tuple[tuple[Row | None, ...], ...]
    areas: tuple[float | None, ...]


def curve_figures(evaluation: Evaluation) -> tuple[CurveFigure, ...]:
    """The figures: of attacks that were made at two radii or more above 0."""
    groups = list(grouped_curves(evaluation))[:MOST_FIGURES]
    return tuple(
        figure_of(f"curve-{k}", title, norm, names, found) for k, (title, norm, names, found) in enumerate(groups)
    )


def grouped_curves(evaluation: Evaluation) -> Iterator[tuple[str, str, list[str], list[Curve]]]:
    """Title, norm, names of lines and curves of each figure, with no more lines than can be told apart."""
    norms = {
        family: norm_of_attack(evaluation.conditions[members[0]]) for family, members in families(evaluation).items()
    }
    found = {
        (family, model): one
        for family in norms
        for model in evaluation.models
        if np.count_nonzero((one := curve(evaluation, model, family)).eps) >= FEWEST_RADII
    }
    words = {
        family: family_in_words(family, evaluation.conditions[members[0]])
        for family, members in families(evaluation).items()
    }
    if len(evaluation.models) > 1:
        for family, norm in norms.items():
            models = [model for model in evaluation.models if (family, model) in found]
            for part in in_parts(models):
                yield words[family], norm, part, [found[family, model] for model in part]
        return
    for norm in dict.fromkeys(norms.values()):
        names = [family for family, _ in found if norms[family] == norm]
        for part in in_parts(names):
            title = words[part[0]] if len(part) == 1 else f"Attacks in {NORM_WORDS[norm]}"
            lines = [found[family, evaluation.models[0]] for family in part]
            yield title, norm, [words[family] for family in part], lines


def in_parts(names: Sequence[str]) -> Iterator[list[str]]:
    """The names, as many at a time as there are styles of lines."""
    for start in range(0, len(names), len(STYLES)):
        yield list(names[start : start + len(STYLES)])


def norm_of_attack(condition: Condition) -> str:
    """The norm of an attack, alone or after something else."""
    while isinstance(condition, Then):
        condition = condition.second
    assert isinstance(condition, Attacked)
    return condition.norm


def figure_of(key: str, title: str, norm: str, names: Sequence[str], found: Sequence[Curve]) -> CurveFigure:
    """A figure and its table."""
    eps = sorted({radius for one in found for radius in one.eps})
    in_levels = norm == "linf" and max(eps) < 1
    unit = ", elements of the image that differ" if norm == "l0" else ", in 255ths of the pixel range"
    label = f"{NORM_WORDS[norm]} radius" + (unit if in_levels or norm == "l0" else "")
    scale = 255 if in_levels else 1
    lines = [
        Line(name, tuple((scale * radius, row) for radius, row in zip(one.eps, one.rows, strict=True)))
        for name, one in zip(names, found, strict=True)
    ]
    by_radius = [dict(zip(one.eps, one.rows, strict=True)) for one in found]
    return CurveFigure(
        key,
        title,
        line_figure(key, f"Accuracy against radius: {title}", " ".join(map(curve_words, names, found)), lines, label),
        tuple(names),
        tuple(map(eps_text, eps)),
        tuple(tuple(points.get(radius) for points in by_radius) for radius in eps),
        tuple(one.area for one in found),
    )


def curve_words(name: str, found: Curve) -> str:
    """What a curve shows, for those who do not see it."""
    return (
        f"{name}: from {share_text(found.rows[0].accuracy)} at radius {eps_text(found.eps[0])} "
        f"to {share_text(found.rows[-1].accuracy)} at {eps_text(found.eps[-1])}."
    )

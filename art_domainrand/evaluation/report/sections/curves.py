"""Accuracy against the radius of an attack, a figure for each norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from art_domainrand.evaluation.conditions.kinds import Attacked, Condition, Then, eps_of, eps_text, with_eps
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.figures.lines import Line, line_figure
from art_domainrand.evaluation.report.sections.conditions import row_of
from art_domainrand.evaluation.results import Row

FIRST_LINES = 6
"""Lines in a figure that can be told apart; the others are in the table below it."""


@dataclass(frozen=True)
class CurveFigure:
    """Curves over one norm.

    :param norm: the norm in words.
    :param svg: the figure.
    :param lines: what it shows, with what is only in the table.
    :param eps: the radii, as text.
    :param rows: for each line, its accuracy at each radius; None where there is none.
    """

    norm: str
    svg: Markup
    lines: tuple[Line, ...]
    eps: tuple[str, ...]
    rows: tuple[tuple[Row | None, ...], ...]


NORM_WORDS = {"linf": "L∞", "l2": "L2", "l1": "L1"}


def curve_figures(evaluation: Evaluation) -> tuple[CurveFigure, ...]:
    """The figures, one for each norm in which some attack was made at two radii or more, 0 aside."""
    families = attack_families(list(evaluation.conditions.values()))
    names = {id(condition): name for name, condition in evaluation.conditions.items()}
    by_norm: dict[str, list[Line]] = {}
    for family in families:
        norm, base = family_norm(family[0]), base_name(evaluation, family[0])
        for model in evaluation.models:
            places = [(eps_of(condition) or 0.0, names[id(condition)]) for condition in family]
            places = [(0.0, base), *places] if base else places
            points = [(eps, row) for eps, name in places if (row := row_of(evaluation, model, name)) is not None]
            if len({eps for eps, _ in points if eps}) > 1:
                title = family_title(family[0], names[id(family[0])])
                line = Line(
                    f"{title}, {model}" if len(evaluation.models) > 1 else title, tuple(sorted(points, key=first))
                )
                by_norm.setdefault(norm, []).append(line)
    return tuple(figure_of(norm, lines) for norm, lines in by_norm.items())


def first(point: tuple[float, Row]) -> float:
    """What points are sorted by."""
    return point[0]


def figure_of(norm: str, lines: list[Line]) -> CurveFigure:
    """The figure of some curves over one norm."""
    eps = sorted({point[0] for line in lines for point in line.points})
    found = [dict(line.points) for line in lines]
    label = f"{NORM_WORDS[norm]} radius"
    if norm == "linf" and max(eps) < 1:
        shown = [replace(line, points=tuple((255 * place, row) for place, row in line.points)) for line in lines]
        label += " in 255ths of the pixel range"
    else:
        shown = lines
    svg = line_figure(f"curve-{norm}", f"Accuracy against the {NORM_WORDS[norm]} radius", shown[:FIRST_LINES], label)
    return CurveFigure(
        NORM_WORDS[norm],
        svg,
        tuple(lines),
        tuple(eps_text(value) for value in eps),
        tuple(tuple(points.get(value) for value in eps) for points in found),
    )


def attack_families(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """Conditions that differ in their radius alone, in order of appearance."""
    families: list[list[Condition]] = []
    for condition in conditions:
        if eps_of(condition) is None:
            continue
        for family in families:
            if with_eps(condition, 0.0) == with_eps(family[0], 0.0):
                family.append(condition)
                break
        else:
            families.append([condition])
    return families


def family_norm(condition: Condition) -> str:
    """The norm of the attack."""
    while isinstance(condition, Then):
        condition = condition.second
    assert isinstance(condition, Attacked)
    return condition.norm


def family_title(condition: Condition, name: str) -> str:
    """The family's name: that of the condition without its radius."""
    return name.removesuffix(f" {eps_text(eps_of(condition) or 0.0)}")


def base_name(evaluation: Evaluation, condition: Condition) -> str | None:
    """The condition that is this one at radius 0: the clean images, or those of the domain alone."""
    base = condition.first if isinstance(condition, Then) else None
    for name, other in evaluation.conditions.items():
        if other == base or (base is None and type(other).__name__ == "Clean"):
            return name
    return None

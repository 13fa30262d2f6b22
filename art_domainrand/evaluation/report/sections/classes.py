"""Accuracy class by class: on clean images, and in the worst of what was tried."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.figures.bars import Bar, bar_figure
from art_domainrand.evaluation.report.text import count_text, share_text
from art_domainrand.evaluation.summary.classes import class_accuracy
from art_domainrand.evaluation.summary.threats import names_of_kind

MOST_CLASSES = 20
"""Classes that are shown: those that are worst off."""


@dataclass(frozen=True)
class ClassFigure:
    """The classes of one model that are worst off.

    :param key: a word that no other figure has.
    :param model: the model's name.
    :param threat: in what they are worst off, in words.
    :param svg: the figure.
    :param bars: what it shows, the lowest first.
    :param classes: how many classes there are.
    """

    key: str
    model: str
    threat: str
    svg: Markup
    bars: tuple[Bar, ...]
    classes: int


def class_figures(evaluation: Evaluation) -> tuple[ClassFigure, ...]:
    """A figure for each model; none for a single class."""
    clean = names_of_kind(evaluation, "clean")[:1]
    attacks = names_of_kind(evaluation, "attacked", "custom")
    threats = (*clean, *attacks) if attacks else tuple(evaluation.conditions)
    threat = "in the worst attack" if attacks else "in the worst condition"
    if len(threats) == len(clean):
        threat = "on clean images"
    found = []
    for k, model in enumerate(evaluation.models):
        before = {row.cell: row for row in class_accuracy(evaluation, model, clean[0])} if clean else {}
        rows = sorted(class_accuracy(evaluation, model, threats), key=lambda row: row.accuracy)
        bars = tuple(Bar(row.cell, row, before.get(row.cell)) for row in rows[:MOST_CLASSES])
        if len(rows) > 1:
            found.append(figure_of_classes(f"classes-{k}", model, threat, bars, len(rows)))
    return tuple(found)


def figure_of_classes(key: str, model: str, threat: str, bars: tuple[Bar, ...], classes: int) -> ClassFigure:
    """The figure of one model."""
    lowest, highest = bars[0], bars[-1]
    description = (
        f"{count_text(len(bars), 'class', 'classes')} of {classes}, lowest first: from {lowest.name} with "
        f"{share_text(lowest.row.accuracy)} to {highest.name} with {share_text(highest.row.accuracy)} {threat}."
    )
    svg = bar_figure(key, f"Accuracy of {model} class by class", description, bars)
    return ClassFigure(key, model, threat, svg, bars, classes)

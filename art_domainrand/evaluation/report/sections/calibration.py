"""Whether a model is as sure as it is right."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.figures.lines import Line, line_figure
from art_domainrand.evaluation.report.text import share_text
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.calibration import Calibration, calibrations

IMAGES = {"clean": "clean images", "corrupted": "corrupted images", "attacked": "attacked images"}


@dataclass(frozen=True)
class ReliabilityFigure:
    """The reliability diagram of a model.

    :param key: a word that no other figure has.
    :param model: the model's name.
    :param svg: the figure.
    :param found: the calibration on each sort of images, by what they are called.
    """

    key: str
    model: str
    svg: Markup
    found: dict[str, Calibration]


def reliability_figures(evaluation: Evaluation) -> tuple[ReliabilityFigure, ...]:
    """A diagram for each model that gives probabilities."""
    figures = []
    for k, model in enumerate(evaluation.models):
        try:
            found = {IMAGES[kind]: one for kind, one in calibrations(evaluation, model).items()}
        except ValueError:  # confidences are missing somewhere
            continue
        if found:
            figures.append(figure_of_reliability(f"reliability-{k}", model, found))
    return tuple(figures)


def figure_of_reliability(key: str, model: str, found: dict[str, Calibration]) -> ReliabilityFigure:
    """The diagram of one model."""
    lines = [Line(name, reliability_points(one)) for name, one in found.items()]
    words = " ".join(
        f"{name}: confidence {share_text(one.confidence)}, accuracy {share_text(one.accuracy)}, calibration error "
        f"{share_text(one.error)}."
        for name, one in found.items()
    )
    svg = line_figure(key, f"Accuracy of {model} against its confidence", words, lines, "confidence", diagonal=True)
    return ReliabilityFigure(key, model, svg, found)


def reliability_points(found: Calibration) -> tuple[tuple[float, Row], ...]:
    """Confidence and accuracy, with its interval, of each bin that is not empty."""
    return tuple(
        (one.confidence, Row.count(found.model, "", round(one.accuracy * one.count), one.count))
        for one in found.bins
        if one.accuracy is not None and one.confidence is not None
    )

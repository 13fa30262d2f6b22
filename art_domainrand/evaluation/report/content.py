"""Everything that a page shows, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.sections.conditions import ConditionLine, condition_lines
from art_domainrand.evaluation.report.sections.curves import CurveFigure, curve_figures


@dataclass(frozen=True)
class PageContent:
    """The content of a page, section by section; an empty one is left out.

    :param models: the names of the models.
    :param conditions: the table of conditions.
    :param curves: accuracy against radius.
    :param command: the command that made the evaluation; empty where there was none.
    """

    models: tuple[str, ...]
    conditions: tuple[ConditionLine, ...]
    curves: tuple[CurveFigure, ...]
    command: str


def page_content(evaluation: Evaluation, command: str | None = None) -> PageContent:
    """The content of an evaluation's page."""
    return PageContent(
        evaluation.models,
        condition_lines(evaluation),
        curve_figures(evaluation),
        command or str(evaluation.manifest.get("command") or ""),
    )

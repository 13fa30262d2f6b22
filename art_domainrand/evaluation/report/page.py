"""The page that an evaluation ends in: what it shows, and the files that it is written as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import art_domainrand
from art_domainrand.core.files import whole_file
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.figures.lines import STYLES, LineStyle
from art_domainrand.evaluation.report.rendering import render
from art_domainrand.evaluation.report.robustbench import robustbench_text
from art_domainrand.evaluation.report.sections.calibration import ReliabilityFigure, reliability_figures
from art_domainrand.evaluation.report.sections.classes import ClassFigure, class_figures
from art_domainrand.evaluation.report.sections.comparisons import ComparisonTable, beside_the_best, comparison_tables
from art_domainrand.evaluation.report.sections.conditions import ConditionLine, condition_lines
from art_domainrand.evaluation.report.sections.corruptions import CorruptionMeans, corruption_means
from art_domainrand.evaluation.report.sections.curves import CurveFigure, curve_figures
from art_domainrand.evaluation.report.sections.draws import DrawFigure, draw_figures
from art_domainrand.evaluation.report.sections.gallery import Exhibit, exhibits
from art_domainrand.evaluation.report.sections.grids import Grid, attack_grids, severity_grids
from art_domainrand.evaluation.report.sections.provenance import Facts, condition_facts, cost_facts, facts_of
from art_domainrand.evaluation.report.sections.verdicts import VerdictCard, verdict_cards
from art_domainrand.evaluation.report.text import count_text, name_text, shortened
from art_domainrand.evaluation.report.wording import in_words
from art_domainrand.evaluation.summary.union import Competitiveness
from art_domainrand.evaluation.summary.verdict import of_data

SECTION_TITLES = {
    "verdict": ("verdicts", "Verdict"),
    "warnings": ("warned", "Warnings"),
    "conditions": ("conditions", "Every condition"),
    "curves": ("curves", "Accuracy as attacks grow"),
    "grid": ("grids", "Attacks inside domains"),
    "severity": ("severities", "Accuracy by severity"),
    "classes": ("classes", "Class by class"),
    "draws": ("draws", "Draw by draw"),
    "calibration": ("reliability", "As sure as it is right?"),
    "comparisons": ("comparisons", "The models compared"),
    "gallery": ("gallery", "What broke first"),
    "method": ("models", "How it was made"),
}
"""The sections in order: its key, the content without which it is left out, and its title."""

LONGEST_TITLE = 80
"""Characters of a title that names more than two models."""


@dataclass(frozen=True)
class PageContent:
    """The content of a page, section by section; an empty one is left out.

    :param title: what the page is about.
    :param subtitle: on what it was judged.
    :param models: the names of the models.
    :param images: the number of images, where it is the same in all conditions.
    :param verdicts: what may be said of each model.
    :param conditions: the table of conditions.
    :param curves: accuracy against radius.
    :param grids: attacks inside domains.
    :param severities: corruptions by severity.
    :param corruption_means: the averages over corruptions.
    :param classes: accuracy class by class.
    :param draws: random defences and conditions draw by draw.
    :param reliability: whether the models are as sure as they are right.
    :param comparisons: the models against one another.
    :param competitiveness: each of them beside the best one in each condition.
    :param gallery: what broke first, by model.
    :param command: the command that made the evaluation; empty where there was none.
    :param options: every condition with its options.
    :param facts: with what it was made.
    :param cost: what it took.
    """

    title: str
    subtitle: str
    models: tuple[str, ...]
    images: int | None
    verdicts: tuple[VerdictCard, ...]
    conditions: tuple[ConditionLine, ...]
    curves: tuple[CurveFigure, ...]
    grids: tuple[Grid, ...]
    severities: tuple[Grid, ...]
    corruption_means: tuple[CorruptionMeans, ...]
    classes: tuple[ClassFigure, ...]
    draws: tuple[DrawFigure, ...]
    reliability: tuple[ReliabilityFigure, ...]
    comparisons: tuple[ComparisonTable, ...]
    competitiveness: tuple[tuple[str, Competitiveness], ...]
    gallery: dict[str, tuple[Exhibit, ...]]
    command: str
    options: Facts
    facts: Facts
    cost: Facts
    version: str = art_domainrand.__version__
    styles: tuple[LineStyle, ...] = STYLES

    @property
    def warned(self) -> bool:
        """Whether there is something to warn of."""
        return any(card.findings or card.skipped for card in self.verdicts)

    @property
    def contents(self) -> tuple[tuple[str, str], ...]:
        """The keys and the titles of the sections that have something to show."""
        return tuple((key, title) for key, (content, title) in SECTION_TITLES.items() if getattr(self, content))


def page_content(evaluation: Evaluation, command: str | None = None) -> PageContent:
    """The content of an evaluation's page."""
    evaluation = in_words(evaluation)
    lines = condition_lines(evaluation)
    counts = {entry.row.n for line in lines for entry in line.entries if entry.row is not None}
    return PageContent(
        title_of(evaluation.models),
        subtitle_of(evaluation),
        evaluation.models,
        counts.pop() if len(counts) == 1 else None,
        verdict_cards(evaluation),
        lines,
        curve_figures(evaluation),
        attack_grids(evaluation),
        severity_grids(evaluation),
        corruption_means(evaluation),
        class_figures(evaluation),
        draw_figures(evaluation),
        reliability_figures(evaluation),
        comparison_tables(evaluation),
        beside_the_best(evaluation),
        exhibits(evaluation),
        command or str(evaluation.manifest.get("command") or ""),
        condition_facts(evaluation.manifest),
        facts_of(evaluation.manifest),
        cost_facts(evaluation),
    )


def title_of(models: tuple[str, ...]) -> str:
    """The models' names, or how many there are."""
    *most, last = [shortened(name_text(model), 40) for model in models]
    title = f"{', '.join(most)} and {last}" if most else last
    return title if len(models) < 3 or len(title) <= LONGEST_TITLE else count_text(len(models), "model")


def subtitle_of(evaluation: Evaluation) -> str:
    """The data, and how much was judged."""
    outcomes = evaluation.outcomes
    return (
        f"{count_text(len(outcomes.samples), 'image')}{of_data(evaluation)}, "
        f"{count_text(len(outcomes.classes), 'class', 'classes')}, "
        f"{count_text(len(evaluation.conditions), 'condition')}"
    )


def write_report(evaluation: Evaluation, out: str | Path, *, command: str | None = None) -> tuple[Path, ...]:
    """Write ``report.html``, one file that fetches nothing, ``report.md`` and ``robustbench.json``.

    The same evaluation is written as the same bytes.

    :param evaluation: what was found.
    :param out: the folder; it is made where it is missing.
    :param command: the command that made the evaluation; by default the one in its manifest.
    :return: the paths of the files.
    """
    content = page_content(evaluation, command)
    texts = {
        "report.html": render("page.html.j2", content),
        "report.md": render("page.md.j2", content),
        "robustbench.json": robustbench_text(evaluation),
    }
    paths = []
    for name, text in texts.items():
        with whole_file(Path(out) / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
        paths.append(Path(out) / name)
    return tuple(paths)

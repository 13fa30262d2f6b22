"""Evaluation: models in conditions, the table of what became of every sample, and all that can be said of it."""

from typing import TYPE_CHECKING, Any

from art_domainrand.evaluation.conditions import (
    Attacked,
    Clean,
    Composite,
    Condition,
    Corrupted,
    Custom,
    DomainAttacked,
    InDomain,
    Randomized,
    Then,
    Union,
)
from art_domainrand.evaluation.conditions.presets import preset_conditions
from art_domainrand.evaluation.corruption_suite import CorruptionReport, evaluate_corruptions
from art_domainrand.evaluation.diagnose.diagnose import diagnose
from art_domainrand.evaluation.diagnose.diagnosis import Check, Diagnosis, Finding
from art_domainrand.evaluation.evaluation import Evaluation, Sample
from art_domainrand.evaluation.folder import load_evaluation
from art_domainrand.evaluation.outcomes import Outcomes
from art_domainrand.evaluation.results import Report, Row
from art_domainrand.evaluation.run import Cell, accuracy_rows, attacked, clean, in_turn, shifted
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.running.evaluate import evaluate
from art_domainrand.evaluation.sources import open_data
from art_domainrand.evaluation.summary import (
    calibration,
    class_accuracy,
    compare,
    competitiveness,
    corruption_report,
    curves,
    draw_summary,
    robust_accuracy,
    union,
    verdict,
    worst_class,
)
from art_domainrand.evaluation.table import table

if TYPE_CHECKING:
    from art_domainrand.evaluation.report import write_report

__all__ = [
    "Attacked",
    "Cell",
    "Check",
    "Clean",
    "Composite",
    "Condition",
    "Corrupted",
    "CorruptionReport",
    "Custom",
    "Diagnosis",
    "DomainAttacked",
    "Evaluation",
    "EvaluationError",
    "Finding",
    "InDomain",
    "Outcomes",
    "Randomized",
    "Report",
    "Row",
    "Sample",
    "Then",
    "Union",
    "accuracy_rows",
    "attacked",
    "calibration",
    "class_accuracy",
    "clean",
    "compare",
    "competitiveness",
    "corruption_report",
    "curves",
    "diagnose",
    "draw_summary",
    "evaluate",
    "evaluate_corruptions",
    "in_turn",
    "load_evaluation",
    "open_data",
    "preset_conditions",
    "robust_accuracy",
    "shifted",
    "table",
    "union",
    "verdict",
    "worst_class",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import the page when it is asked for: it draws with matplotlib, which nothing else here needs."""
    if name != "write_report":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from art_domainrand.evaluation.report import write_report

    return write_report

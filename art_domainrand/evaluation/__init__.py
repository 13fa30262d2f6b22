"""Evaluation: models in conditions, the table of what became of every sample, intervals, tables and plots."""

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
from art_domainrand.evaluation.table import table

__all__ = [
    "Cell",
    "Check",
    "CorruptionReport",
    "Diagnosis",
    "Evaluation",
    "EvaluationError",
    "Finding",
    "Outcomes",
    "Report",
    "Row",
    "Sample",
    "accuracy_rows",
    "attacked",
    "clean",
    "diagnose",
    "evaluate",
    "evaluate_corruptions",
    "in_turn",
    "load_evaluation",
    "open_data",
    "shifted",
    "table",
]

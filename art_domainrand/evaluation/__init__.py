"""Evaluation: models in conditions ("cells"), results with intervals, tables and plots."""

from art_domainrand.evaluation.corruption_suite import CorruptionReport, evaluate_corruptions
from art_domainrand.evaluation.diagnose.diagnose import diagnose
from art_domainrand.evaluation.diagnose.diagnosis import Check, Diagnosis, Finding
from art_domainrand.evaluation.results import Report, Row
from art_domainrand.evaluation.run import Cell, attacked, clean, evaluate, in_turn, shifted
from art_domainrand.evaluation.table import table

__all__ = [
    "Cell",
    "Check",
    "CorruptionReport",
    "Diagnosis",
    "Finding",
    "Report",
    "Row",
    "attacked",
    "clean",
    "diagnose",
    "evaluate",
    "evaluate_corruptions",
    "in_turn",
    "shifted",
    "table",
]

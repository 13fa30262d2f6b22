"""What the outcome table says: pure functions of it."""

from art_domainrand.evaluation.summary.classes import WorstClass, class_accuracy, worst_class
from art_domainrand.evaluation.summary.curves import Curve, curve, curves, families
from art_domainrand.evaluation.summary.threats import always_right, kind_of, names_of_kind
from art_domainrand.evaluation.summary.union import (
    Competitiveness,
    ThreatUnion,
    competitiveness,
    robust_accuracy,
    union,
)
from art_domainrand.evaluation.summary.verdict import Verdict, verdict

__all__ = [
    "Competitiveness",
    "Curve",
    "ThreatUnion",
    "Verdict",
    "WorstClass",
    "always_right",
    "class_accuracy",
    "competitiveness",
    "curve",
    "curves",
    "families",
    "kind_of",
    "names_of_kind",
    "robust_accuracy",
    "union",
    "verdict",
    "worst_class",
]

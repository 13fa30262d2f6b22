"""What the outcome table says: pure functions of it."""

from art_domainrand.evaluation.summary.calibration import Calibration, ReliabilityBin, calibration, calibrations
from art_domainrand.evaluation.summary.classes import WorstClass, class_accuracy, worst_class
from art_domainrand.evaluation.summary.compare import Comparison, PairedResult, compare
from art_domainrand.evaluation.summary.corruptions import corruption_report
from art_domainrand.evaluation.summary.curves import Curve, curve, curves, families
from art_domainrand.evaluation.summary.draws import DrawSummary, draw_summary, drawn_conditions
from art_domainrand.evaluation.summary.threats import always_right, kind_of, names_of_kind
from art_domainrand.evaluation.summary.threshold import (
    Threshold,
    ThresholdResult,
    check_measurable,
    check_thresholds,
    parse_thresholds,
)
from art_domainrand.evaluation.summary.union import (
    Competitiveness,
    ThreatUnion,
    competitiveness,
    robust_accuracy,
    union,
)
from art_domainrand.evaluation.summary.verdict import Verdict, verdict

__all__ = [
    "Calibration",
    "Comparison",
    "Competitiveness",
    "Curve",
    "DrawSummary",
    "PairedResult",
    "ReliabilityBin",
    "ThreatUnion",
    "Threshold",
    "ThresholdResult",
    "Verdict",
    "WorstClass",
    "always_right",
    "calibration",
    "calibrations",
    "check_measurable",
    "check_thresholds",
    "class_accuracy",
    "compare",
    "competitiveness",
    "corruption_report",
    "curve",
    "curves",
    "draw_summary",
    "drawn_conditions",
    "families",
    "kind_of",
    "names_of_kind",
    "parse_thresholds",
    "robust_accuracy",
    "union",
    "verdict",
    "worst_class",
]

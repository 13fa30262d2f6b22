"""The page that an evaluation ends in, and its other forms."""

from art_domainrand.evaluation.report.page import write_report

__all__ = ["write_report"]

"""What speaks against believing a robustness figure."""

from art_domainrand.evaluation.diagnose.diagnose import diagnose

__all__ = ["diagnose"]

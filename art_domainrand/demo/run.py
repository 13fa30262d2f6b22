"""The demo as one call."""

from __future__ import annotations

from pathlib import Path

from art_domainrand.demo.steps import demonstrate
from art_domainrand.evaluation.report.page import write_report
from art_domainrand.evaluation.results import Report
from art_domainrand.evaluation.running.evaluate import evaluate


def run_demo(out: str | Path, seed: int = 0, *, verbose: bool = False) -> Report:
    """Train the models of ``RECIPES`` on digits, judge each in every condition, and write what came of it.

    That is ``samples.png``, ``report.json``, the page (``report.html``) and the outcome table of which it is made. An
    earlier demo in the folder is replaced.

    :param out: the folder for all, made if it is missing.
    :param seed: an int in [0, 2^32) that determines the split of the data, the training and the attacks; the same seed
        gives the same numbers on the same machine.
    :param verbose: show progress bars.
    :raises ValueError: for another seed, for an ``out`` that is no folder and cannot become one, and for one that holds
        another evaluation, before any work.
    """
    return demonstrate(evaluate, write_report, out, seed, verbose=verbose)

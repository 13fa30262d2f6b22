"""Errors under the common corruptions, as a report with the averages that are usually quoted."""

from __future__ import annotations

from dataclasses import replace

from art_domainrand.core.checks import require
from art_domainrand.evaluation.conditions.kinds import Corrupted
from art_domainrand.evaluation.corruption_suite import CLEAN, CorruptionReport
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.summary.threats import check_names, names_of_kind


def corruption_report(evaluation: Evaluation, model: str) -> CorruptionReport:
    """The rows of the common corruptions, with their errors and means.

    ``report.errors()`` is the error of each corruption averaged over its severities, ``report.mean_error()`` the mean
    over those of the fifteen common ones that were run, and with ``baseline``, the report of another model, the mCE of
    Hendrycks & Dietterich (ICLR 2019). Both models of one evaluation have the same corrupted images, sample by sample.

    :param evaluation: the evaluation; it holds the clean images and at least one
        :class:`~art_domainrand.evaluation.conditions.Corrupted`.
    :param model: the model's name.
    :raises ValueError: without such conditions.
    """
    check_names("model", [model], evaluation.models)
    clean = names_of_kind(evaluation, "clean")
    corrupted = {name: one for name, one in evaluation.conditions.items() if isinstance(one, Corrupted)}
    require(clean and corrupted, "evaluation", "hold the clean images and corrupted ones", list(evaluation.conditions))
    rows = {CLEAN: evaluation.accuracy(model, clean[0])}
    for name, one in corrupted.items():
        rows.setdefault(f"{one.corruption}/{one.severity}", evaluation.accuracy(model, name))
    return CorruptionReport(tuple(replace(row, cell=cell) for cell, row in rows.items()))

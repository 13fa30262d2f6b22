"""Accuracy under the common corruptions, case by case, and the averages that are usually quoted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.arrays import Array
from art_domainrand.core.checks import require
from art_domainrand.evaluation.results import Row, RowsFile
from art_domainrand.evaluation.run import BATCH_SIZE, count_correct, predicted_scores
from art_domainrand.randomization.corruptions import COMMON, CorruptionSuite

CLEAN = "clean"


@dataclass(frozen=True)
class CorruptionReport(RowsFile):
    """The accuracy of one model on clean images and in every case of a suite; all errors are in [0, 1].

    :param rows: a cell "clean", and then one "name/severity" for each case.
    :param metadata: how they came about, such as the seed of the suite.
    :raises ValueError: for rows in another form or of several models, and for metadata with a key "rows".
    """

    def check(self) -> None:
        cells = [row.cell for row in self.rows]
        if len(set(cells)) < len(cells) or cells[:1] != [CLEAN] or len({row.model for row in self.rows}) != 1:
            raise ValueError(f"rows must be of one model, {CLEAN!r} first and each cell once, got {cells}")
        for cell in cells[1:]:
            name, slash, severity = cell.partition("/")
            if not (name and slash and severity.isdecimal()):
                raise ValueError(f"rows must have cells named name/severity, got {cell!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """The corruptions in order of appearance."""
        return tuple(dict.fromkeys(row.cell.partition("/")[0] for row in self.rows[1:]))

    @property
    def clean_error(self) -> float:
        """The error without corruption."""
        return 1 - self.rows[0].accuracy

    def row(self, name: str, severity: int) -> Row:
        """The row of a case.

        :param name: the corruption.
        :param severity: an int from 1 to 5.
        :raises KeyError: if there is none.
        """
        for row in self.rows:
            if row.cell == f"{name}/{severity}":
                return row
        raise KeyError(f"no row for corruption {name!r} at severity {severity}")

    def errors(self, baseline: CorruptionReport | None = None, *, relative: bool = False) -> dict[str, float]:
        """The error of each corruption, averaged over its severities.

        :param baseline: the report of a model by whose error over the same cases it is divided: the corruption error CE
            of Hendrycks and Dietterich (ICLR 2019, section 4.2), who take AlexNet. Where that model makes no error the
            ratio is infinite, or NaN for 0 / 0.
        :param relative: first subtract the clean errors, of both models: their Relative CE.
        :return: the error, or the ratio, by the corruption's name.
        :raises KeyError: if the baseline lacks a case.
        """
        found = {}
        for name in self.names:
            severities = [int(row.cell.partition("/")[2]) for row in self.rows if row.cell.startswith(f"{name}/")]
            own = self._error(name, severities, relative)
            found[name] = own if baseline is None else _ratio(own, baseline._error(name, severities, relative))
        return found

    def mean_error(
        self, baseline: CorruptionReport | None = None, *, relative: bool = False, extra: bool = False
    ) -> float:
        """The mean of :meth:`errors` over the corruptions.

        Of corruptions that were not judged nothing is known: the mean is over the others.

        :param baseline: as in :meth:`errors`; with it this is the mCE (or the Relative mCE), as a ratio rather than in
            percent.
        :param relative: as in :meth:`errors`.
        :param extra: take all nineteen corruptions, not the fifteen common ones alone.
        :raises KeyError: if the baseline lacks a case.
        :raises ValueError: if no corruption is left.
        """
        errors = self.errors(baseline, relative=relative)
        chosen = [error for name, error in errors.items() if extra or name in COMMON]
        if not chosen:
            raise ValueError(f"rows must hold a common corruption, got {list(errors)}")
        return sum(chosen) / len(chosen)

    def _error(self, name: str, severities: list[int], relative: bool) -> float:
        errors = [1 - self.row(name, severity).accuracy for severity in severities]
        return sum(errors) / len(errors) - (self.clean_error if relative else 0.0)


@suggesting_names
def evaluate_corruptions(
    model: Any, x: Array, y: Array, suite: CorruptionSuite | None = None, *, name: str = "model", verbose: bool = False
) -> CorruptionReport:
    """Judge a model on clean images and in every case of a suite.

    :param model: an ART estimator, or a function from images (N, C, H, W) to scores (N, classes), called for at most
        256 images at a time.
    :param x: images (N, C, H, W), N >= 1, in [0, 1].
    :param y: their class indices, (N,).
    :param suite: the cases; None takes all 95.
    :param name: the model's name in the rows.
    :param verbose: show a progress bar.
    :raises ValueError: for images outside [0, 1], labels that do not fit, and scores that are NaN.
    """
    rule = "be an ART estimator or a function from images to scores"
    require(hasattr(model, "predict") or callable(model), "model", rule, model, TypeError)
    suite = CorruptionSuite() if suite is None else suite
    require(isinstance(suite, CorruptionSuite), "suite", "be a CorruptionSuite", suite, TypeError)
    for argument, array, axes in (("x", x, 4), ("y", y, 1)):
        if not isinstance(array, np.ndarray) or array.ndim != axes:
            got = f"shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"{argument} must be a NumPy array with {axes} axes, got {got}")
    if len(x) == 0 or len(y) != len(x) or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"y must hold one class index for each of {len(x)} > 0 images, got {y.dtype} of {len(y)}")
    low, high = x.min(), x.max()
    if not (low >= 0 and high <= 1):  # also for NaN
        raise ValueError(f"x must be in [0, 1], got pixels from {low} to {high}")
    rows = [Row.count(name, CLEAN, _correct(model, x, y), len(y))]
    cases = tqdm(suite.corrupted(x), desc="corruptions", total=len(suite), disable=not verbose)
    for corruption, severity, images in cases:
        rows.append(Row.count(name, f"{corruption}/{severity}", _correct(model, images, y), len(y)))
    return CorruptionReport(tuple(rows), {"seed": suite.seed})


def _correct(model: Any, x: Array, y: Array) -> int:
    """How many of the images ``x`` the model assigns to the class indices ``y``."""
    scores = predicted_scores(model, x) if hasattr(model, "predict") else _called(model, x)
    right = count_correct(scores, y, "model")
    if not 0 <= y.min() <= y.max() < scores.shape[1]:
        raise ValueError(f"y must be from 0 to {scores.shape[1] - 1}, as many as scores, got {y.min()} to {y.max()}")
    return right


def _called(model: Callable[[Array], Any], x: Array) -> Array:
    parts = [np.asarray(model(x[start : start + BATCH_SIZE])) for start in range(0, len(x), BATCH_SIZE)]
    scores: Array = np.concatenate(parts)
    if scores.ndim != 2 or len(scores) != len(x):
        raise ValueError(f"model must return scores of shape ({len(x)}, classes), got {scores.shape}")
    return scores


def _ratio(own: float, other: float) -> float:
    if other == 0:
        return math.nan if own == 0 else math.copysign(math.inf, own)
    return own / other

"""What can be required of a model: measures by name, each with its argument as text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from art_domainrand.core.checks import require
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.calibration import calibration
from art_domainrand.evaluation.summary.classes import class_accuracy, worst_class
from art_domainrand.evaluation.summary.corruptions import corruption_report
from art_domainrand.evaluation.summary.curves import curve
from art_domainrand.evaluation.summary.threats import check_names, names_of_kind
from art_domainrand.evaluation.summary.union import attacks_within, robust_accuracy, union


@dataclass(frozen=True)
class Observed:
    """What a measure comes to.

    :param value: the value.
    :param low: the lower end of its interval, where it has one.
    :param high: the upper end.
    :param conditions: the names of the conditions it depends on.
    """

    value: float
    low: float | None
    high: float | None
    conditions: tuple[str, ...]


def number_of(text: str, argument: str) -> float:
    """A number, a fraction such as 8/255 or a percentage such as 40%, in words a person writes."""
    pattern = r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?:/\s*(\d+\.?\d*)|(%))?\s*"
    match = re.fullmatch(pattern, text)
    require(match, argument, "be a number, a fraction or a percentage", text)
    assert match is not None
    divisor = 100.0 if match[3] else float(match[2] or 1)
    require(divisor > 0, argument, "not divide by zero", text)
    number = float(match[1]) / divisor
    require(math.isfinite(number), argument, "be finite", text)
    return number


def _of_row(row: Row, *conditions: str) -> Observed:
    return Observed(row.accuracy, row.low, row.high, conditions)


def _accuracy(evaluation: Evaluation, model: str, argument: str) -> Observed:
    check_names("accuracy", [argument], list(evaluation.conditions))
    return _of_row(evaluation.accuracy(model, argument), argument)


def _clean(evaluation: Evaluation, model: str, argument: str) -> Observed:
    names = names_of_kind(evaluation, "clean")
    require(names, "clean", "be among the conditions", list(evaluation.conditions))
    return _of_row(evaluation.accuracy(model, names[0]), names[0])


def _robust(evaluation: Evaluation, model: str, argument: str) -> Observed:
    norm, comma, eps = argument.partition(",")
    require(comma, "robust", "have a norm and a radius, as in robust(linf, 8/255)", argument)
    ball = norm.strip(), number_of(eps, "the radius of robust")
    return _of_row(robust_accuracy(evaluation, model, *ball), *attacks_within(evaluation, *ball))


def _union(evaluation: Evaluation, model: str, argument: str) -> Observed:
    found = union(evaluation, model)
    return _of_row(found.row, *found.conditions)


def _worst_class(evaluation: Evaluation, model: str, argument: str) -> Observed:
    check_names("worst_class", [argument], list(evaluation.conditions))
    found = worst_class(class_accuracy(evaluation, model, argument))
    return Observed(found.row.accuracy, found.low, found.high, (argument,))


def _area(evaluation: Evaluation, model: str, argument: str) -> Observed:
    found = curve(evaluation, model, argument)
    require(found.area is not None, "area", "have the images that the attack starts from in the table", argument)
    assert found.area is not None
    return Observed(found.area, None, None, tuple(row.cell for row in found.rows))


def _mce(evaluation: Evaluation, model: str, argument: str) -> Observed:
    baseline = corruption_report(evaluation, argument) if argument else None
    error = corruption_report(evaluation, model).mean_error(baseline)
    require(math.isfinite(error), "mce", "be relative to a model that errs under every corruption", argument)
    return Observed(error, None, None, ())


def _ece(evaluation: Evaluation, model: str, argument: str) -> Observed:
    return Observed(calibration(evaluation, model, argument).error, None, None, (argument,))


MEASURES: Mapping[str, Callable[[Evaluation, str, str], Observed]] = {
    "clean": _clean,
    "accuracy": _accuracy,
    "robust": _robust,
    "union": _union,
    "worst_class": _worst_class,
    "area": _area,
    "mce": _mce,
    "ece": _ece,
}
"""What can be measured."""

ARGUMENTS = {
    "clean": "",
    "accuracy": "NAME",
    "robust": "NORM, EPS",
    "union": "",
    "worst_class": "NAME",
    "area": "FAMILY",
    "mce": "[MODEL]",
    "ece": "NAME",
}
"""What stands in the parentheses of each; in brackets if it may be left out."""

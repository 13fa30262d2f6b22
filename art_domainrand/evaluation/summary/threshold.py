"""What a model must reach: conditions such as ``robust(linf, 8/255) >= 0.4``, read from text without running any."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import Condition
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.outcomes import OUTCOME, Outcomes
from art_domainrand.evaluation.summary.measures import ARGUMENTS, MEASURES, number_of
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import check_names, kind_of
from art_domainrand.evaluation.summary.trust import fatal_findings, in_short, reasons_to_doubt

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Threshold(SummaryRecord):
    """One requirement.

    :param measure: a name of :data:`MEASURES`.
    :param argument: what stands in its parentheses; empty without them.
    :param comparison: one of :data:`COMPARISONS`.
    :param bound: what it is compared with.
    """

    measure: str
    argument: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.measure}{f'({self.argument})' if self.argument else ''} {self.comparison} {self.bound:g}"


@dataclass(frozen=True)
class ThresholdResult(SummaryRecord):
    """Whether a model meets a requirement.

    :param model: the model's name.
    :param threshold: the requirement.
    :param value: what was observed; this, not the interval, is compared with the bound.
    :param low: the lower end of its 95% interval; None where there is none.
    :param high: the upper end.
    :param met: whether it is met.
    :param note: what the diagnosis says against it; empty if nothing.
    """

    model: str
    threshold: Threshold
    value: float
    low: float | None
    high: float | None
    met: bool
    note: str

    def __str__(self) -> str:
        interval = "" if self.low is None else f" (95% interval {self.low:.4g} to {self.high:.4g})"
        note = f"; {self.note}" if self.note else ""
        met = "met" if self.met else "NOT MET"
        return f"{met}: {self.threshold} for {self.model!r}, got {self.value:.4g}{interval}{note}"


def parse_thresholds(text: str) -> tuple[Threshold, ...]:
    """Read requirements separated by ``;`` or ``and``, such as ``clean >= 0.9; robust(linf, 8/255) >= 40%``.

    What can be measured:

    - ``clean``, ``accuracy(NAME)``: accuracy on the clean images or in a condition, by its name.
    - ``robust(NORM, EPS)``: what all attacks of the norm at this radius and smaller ones leave together.
    - ``union``: what all conditions leave together.
    - ``worst_class(NAME)``: the accuracy of the worst class in a condition.
    - ``area(FAMILY)``: the area under an accuracy-eps curve, such as ``area(pgd linf)``.
    - ``mce``, ``mce(MODEL)``: mean error over the common corruptions, as it is or relative to another model's.
    - ``ece(NAME)``: the expected calibration error in a condition.

    Names may stand in quotes. A bound is a number, a fraction or a percentage.

    :param text: the requirements.
    :raises ValueError: for anything else; says what, and names the nearest measure.
    """
    require(isinstance(text, str), "fail-under", "be a text", text)
    found = tuple(_parsed(part) for part in _parts(text))
    require(found, "fail-under", "hold a requirement such as 'robust(linf, 8/255) >= 0.4'", text)
    return found


def check_thresholds(
    evaluation: Evaluation, thresholds: str | tuple[Threshold, ...], model: str | None = None
) -> tuple[ThresholdResult, ...]:
    """Compare what was observed with requirements.

    A lower bound on accuracy under attacks by gradients is never met where the diagnosis found an error: attacks that
    cannot work prove nothing. Its warnings are noted.

    :param evaluation: the evaluation.
    :param thresholds: the requirements, as text or parsed.
    :param model: the model's name; None checks each model.
    :return: a result for each model and requirement.
    :raises ValueError: for names and radii that the evaluation does not hold.
    """
    parsed = parse_thresholds(thresholds) if isinstance(thresholds, str) else thresholds
    models = evaluation.models if model is None else (model,)
    check_names("model", models, evaluation.models)
    return tuple(_checked(evaluation, one, threshold) for one in models for threshold in parsed)


def check_measurable(
    thresholds: tuple[Threshold, ...], models: Sequence[str], conditions: Mapping[str, Condition]
) -> None:
    """Refuse requirements that an evaluation could not answer, before it is run.

    :param thresholds: the requirements.
    :param models: the names of the models.
    :param conditions: the conditions by their names.
    :raises ValueError: as :func:`check_thresholds` would of the finished evaluation.
    """
    # One sample that every model gets wrong: whatever can be measured has a value.
    rows = np.zeros(len(models) * len(conditions), OUTCOME)
    rows["model"], rows["condition"] = np.divmod(np.arange(len(rows)), len(conditions))
    table = Outcomes(rows, tuple(models), tuple(conditions), ("any",))
    check_thresholds(Evaluation(table, conditions, {}), thresholds)


def _checked(evaluation: Evaluation, model: str, threshold: Threshold) -> ThresholdResult:
    found = MEASURES[threshold.measure](evaluation, model, threshold.argument)
    met = COMPARISONS[threshold.comparison](found.value, threshold.bound)
    note = ""
    attacks = [name for name in found.conditions if kind_of(evaluation.conditions[name]) in ("attacked", "custom")]
    if attacks and threshold.comparison.startswith(">"):
        errors = fatal_findings(evaluation, model, attacks)
        doubts = [in_short(one) for one in errors] or reasons_to_doubt(evaluation, model, attacks)
        note = f"{'no attack can say so' if errors else 'at most'}, because {', '.join(doubts)}" if doubts else ""
        met = met and not errors
    return ThresholdResult(model, threshold, found.value, found.low, found.high, met, note)


def _parts(text: str) -> Iterator[str]:
    """The text between ``;`` and ``and`` that stand in no parentheses or quotes."""
    depth, quote, start, place = 0, "", 0, 0
    while place < len(text):
        here = text[place]
        separator = None
        if quote:
            quote = "" if here == quote else quote
        elif here in "\"'":
            quote = here
        elif here in "()":
            depth += 1 if here == "(" else -1
        elif depth == 0:
            separator = re.compile(r";|\band\b").match(text, place)
        if separator:
            yield from _filled(text[start:place])
            start = place = separator.end()
        else:
            place += 1
    require(depth == 0 and not quote, "fail-under", "close its parentheses and quotes", text)
    yield from _filled(text[start:])


def _filled(part: str) -> Iterator[str]:
    if part.strip():
        yield part.strip()


def _parsed(part: str) -> Threshold:
    form = "fail-under"
    match = re.fullmatch(r"(\w+)\s*(?:\((.*)\))?\s*(>=|<=|>|<)\s*([^<>=()]+)", part, re.DOTALL)
    require(match, form, "have the form 'measure(argument) >= number'", part)
    assert match is not None
    name, argument, comparison, bound = match[1], (match[2] or "").strip(), match[3], match[4]
    got = Text(f"{name!r}{nearest(name, list(MEASURES))}")
    require(name in MEASURES, form, f"measure one of {list(MEASURES)}", got)
    bare = len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "\"'"
    argument = argument[1:-1] if bare else argument
    wanted = ARGUMENTS[name]
    require(argument or not wanted or wanted.startswith("["), form, f"name what to measure: {name}({wanted})", part)
    require(wanted or not argument, form, f"give {name} no argument", part)
    number = number_of(bound, f"the bound of {name}")
    # An mCE may be above 1; of the others "clean >= 90" can never hold, and means 90%.
    possible = name == "mce" or 0 <= number <= 1
    require(possible, f"the bound of {name}", "be in [0, 1] or a percentage such as 90%", bound.strip())
    return Threshold(name, argument, comparison, number)

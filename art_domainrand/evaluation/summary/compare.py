"""Two models, or two runs, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import eps_of, with_eps
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import CONFIDENCE, Row
from art_domainrand.evaluation.summary.curves import radius
from art_domainrand.evaluation.summary.paired import exact_p, paired_interval
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import check_names, counted


@dataclass(frozen=True)
class PairedResult(SummaryRecord):
    """Two models in one condition, on the same samples.

    :param condition: the condition's name.
    :param first: the accuracy of the first.
    :param second: the accuracy of the second.
    :param only_first: how many samples only the first gets right.
    :param only_second: how many samples only the second gets right.
    :param difference: accuracy of the second minus that of the first.
    :param low: the lower end of its 95% interval.
    :param high: the upper end.
    :param p: the p-value of McNemar's exact test that neither is better.
    :param corrected: the same, corrected by Holm's method for the number of conditions compared.
    """

    condition: str
    first: Row
    second: Row
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float
    p: float
    corrected: float


@dataclass(frozen=True)
class Comparison(SummaryRecord):
    """Two models in every condition that they share; ``str()`` is a table to read.

    :param first: what the first is called.
    :param second: what the second is called.
    :param n: the number of samples.
    :param results: condition by condition.
    :param skipped: conditions that were not compared, and why.
    """

    first: str
    second: str
    n: int
    results: tuple[PairedResult, ...]
    skipped: tuple[str, ...] = ()

    @property
    def significant(self) -> tuple[PairedResult, ...]:
        """The conditions in which one is better, at 5% for all conditions together."""
        return tuple(one for one in self.results if one.corrected <= 1 - CONFIDENCE)

    def __str__(self) -> str:
        heads = ["condition", self.first, self.second, "difference", "only right", "p", "Holm"]
        lines = [heads, *(_line(one) for one in self.results)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        lines.insert(1, ["-" * width for width in widths])
        text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        about = (
            f"{self.n} samples; difference: second minus first, with Newcombe's 95% interval; only right: samples that "
            "only the first and only the second gets right; p: McNemar's exact test, corrected by Holm"
        )
        return "\n".join([*text, "", about, *(f"not compared: {one}" for one in self.skipped)])


def compare(
    first: Evaluation,
    second: Evaluation | None = None,
    *,
    models: tuple[str, str] | None = None,
    conditions: Sequence[str] | None = None,
) -> Comparison:
    """Compare two models by McNemar's exact test in every condition they share.

    Where there are several draws, a sample counts as right if it is right in all of them, of both sides the same
    number: the first k, with k the smaller number of draws. The interval of the difference is Newcombe's for paired
    proportions (Statistics in Medicine 17, 1998, method 10: square-and-add of Wilson's intervals).

    :param first: an evaluation.
    :param second: another on the same samples; None compares two models of ``first``.
    :param models: the names of the model of the first and of the second; not needed where there is no choice.
    :param conditions: the names of the conditions, by default all that both hold; what has one name and two definitions
        is not compared, nor an attack that was run along other radii, which help it.
    :raises ValueError: for tables over different samples, labels, classes or data, for names that there are not, and if
        nothing is left to compare.
    """
    other = first if second is None else second
    names = _models(first, other, models, second is None)
    _check_same_data(first, other)
    shared = [name for name in first.conditions if name in other.conditions]
    if conditions is not None:
        check_names("conditions", conditions, shared)
    chosen = shared if conditions is None else list(conditions)
    reasons = {name: _unlike(first, other, name) for name in chosen}
    same = [name for name in chosen if not reasons[name]]
    skipped = tuple(f"{name} ({reason})" for name, reason in reasons.items() if reason)
    require(same, "conditions", "leave one that both define alike", Text("; ".join(skipped) or "none"))
    tables = [
        (name, *_right(first.outcomes.of(names[0], name), other.outcomes.of(names[1], name), name)) for name in same
    ]
    tests = [exact_p(one, two) for _, one, two in tables]
    corrected = multipletests(tests, method="holm")[1]
    results = tuple(
        paired_result(name, names, one, two, p, float(holm))
        for (name, one, two), p, holm in zip(tables, tests, corrected, strict=True)
    )
    titles = names if names[0] != names[1] else (f"{names[0]} (first)", f"{names[1]} (second)")
    return Comparison(*titles, len(tables[0][1]), results, skipped)


def paired_result(
    condition: str,
    models: tuple[str, str],
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    p: float,
    corrected: float,
) -> PairedResult:
    """What two vectors of right and wrong come to, with the p-values that go with them."""
    rows = counted(models[0], condition, first), counted(models[1], condition, second)
    low, high = paired_interval(second, first)
    return PairedResult(
        condition,
        *rows,
        int((first & ~second).sum()),
        int((second & ~first).sum()),
        rows[1].accuracy - rows[0].accuracy,
        low,
        high,
        p,
        corrected,
    )


def _unlike(first: Evaluation, other: Evaluation, name: str) -> str:
    """Why a condition is not the same thing in two evaluations; empty where it is."""
    if first.conditions[name] != other.conditions[name]:
        return "not defined alike"
    return "" if radii_beside(first, name) == radii_beside(other, name) else "attacked along other radii"


def radii_beside(evaluation: Evaluation, name: str) -> list[float]:
    """The radii of the curve that a condition is a point of: an attack finds more, the more there are.

    :param evaluation: the evaluation.
    :param name: the condition's name.
    """
    if eps_of(condition := evaluation.conditions[name]) is None:
        return []
    attacks = [one for one in evaluation.conditions.values() if eps_of(one) is not None]
    return sorted({radius(one) for one in attacks if with_eps(one, 0.0) == with_eps(condition, 0.0)})


def _models(first: Evaluation, other: Evaluation, models: tuple[str, str] | None, one_table: bool) -> tuple[str, str]:
    """The names of the two models."""
    if models is not None:
        require(len(models) == 2, "models", "name one of each side", models)
        check_names("models", models[:1], first.models)
        check_names("models", models[1:], other.models)
        return models[0], models[1]
    if one_table:
        require(len(first.models) == 2, "models", "be given unless there are two to compare", first.models)
        return first.models[0], first.models[1]
    shared = [name for name in first.models if name in other.models]
    if len(first.models) == len(other.models) == 1:
        return first.models[0], other.models[0]
    got = Text(f"{first.models} and {other.models}")
    require(len(shared) == 1, "models", "be given unless there is one of each side or one that both share", got)
    return shared[0], shared[0]


def _check_same_data(first: Evaluation, other: Evaluation) -> None:
    """Refuse tables that are not over the same samples."""
    classes = first.outcomes.classes, other.outcomes.classes
    require(classes[0] == classes[1], "evaluations", "have the same classes", Text(f"{classes[0]} and {classes[1]}"))
    digests = [data.get("digest") for data in (first.manifest.get("data", {}), other.manifest.get("data", {}))]
    require(None in digests or digests[0] == digests[1], "evaluations", "be over the same data", Text("other images"))


def _right(one: NDArray[np.void], two: NDArray[np.void], condition: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each side is right in its first draws, as many as both have, (N,) each."""
    same = np.array_equal(one["sample"][0], two["sample"][0])
    got = Text(f"{one.shape[1]} and {two.shape[1]} samples in {condition!r}")
    require(same, "evaluations", "be over the same samples", got)
    labels = np.array_equal(one["label"][0], two["label"][0])
    require(labels, "evaluations", "have the same labels", Text(f"others in {condition!r}"))
    draws = min(len(one), len(two))
    first, second = (np.logical_and.reduce(table["right"][:draws]) for table in (one, two))
    return first, second


def _line(one: PairedResult) -> list[str]:
    """A line of the table."""
    return [
        one.condition,
        f"{100 * one.first.accuracy:.1f}%",
        f"{100 * one.second.accuracy:.1f}%",
        f"{100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]",
        f"{one.only_first} / {one.only_second}",
        f"{one.p:.2g}",
        f"{one.corrected:.2g}",
    ]

"""Accuracy along the radius of an attack."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.integrate import trapezoid

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.kinds import (
    Attacked,
    Clean,
    Condition,
    Then,
    eps_of,
    with_eps,
)
from art_domainrand.evaluation.conditions.names import attack_name
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.results import Row
from art_domainrand.evaluation.summary.record import SummaryRecord
from art_domainrand.evaluation.summary.threats import check_names


@dataclass(frozen=True)
class Curve(SummaryRecord):
    """The accuracy of a model at every radius at which an attack was run.

    :param model: the model's name.
    :param family: what the attack is called without its radius.
    :param eps: the radii, ascending; 0 first where the images that the attack started from were judged too.
    :param rows: the accuracy at each, with its interval.
    :param area: the area under the curve by the trapezoid rule, divided by the largest radius: the mean accuracy over
        the radii from 0 to there, in [0, 1]. None without the point at 0.
    :raises ValueError: for radii that do not ascend, or another number of rows.
    """

    model: str
    family: str
    eps: tuple[float, ...]
    rows: tuple[Row, ...]
    area: float | None

    def __post_init__(self) -> None:
        ascend = all(a < b for a, b in zip(self.eps, self.eps[1:], strict=False))
        require(ascend and len(self.eps) == len(self.rows), "eps", "ascend, one for each row", self.eps)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The accuracy at each radius."""
        return tuple(row.accuracy for row in self.rows)


def families(evaluation: Evaluation) -> dict[str, tuple[str, ...]]:
    """The curves that an evaluation holds: conditions that differ only in the radius, in ascending order of it.

    :param evaluation: the evaluation.
    :return: the names of the conditions by what the family is called, such as "pgd linf".
    """
    groups: list[tuple[Condition, dict[float, str]]] = []
    for name, condition in evaluation.conditions.items():
        eps = eps_of(condition)
        if eps is None:
            continue
        key = with_eps(condition, 0.0)
        members = next((members for other, members in groups if other == key), None)
        if members is None:
            groups.append((key, members := {}))
        members.setdefault(eps, name)
    found: dict[str, tuple[str, ...]] = {}
    for key, members in groups:
        title = family_name(key)
        # The same attack with other options: the name of a condition tells them apart.
        title = f"{title} ({next(iter(members.values()))})" if title in found else title
        found[title] = tuple(members[eps] for eps in sorted(members))
    return found


def family_name(condition: Condition) -> str:
    """What a condition with a radius is called without it.

    :param condition: an attack, alone or after something else.
    """
    if isinstance(condition, Then):
        return f"{condition.first.name} > {family_name(condition.second)}"
    assert isinstance(condition, Attacked)
    return f"{attack_name(condition.attack)} {condition.norm}"


def curve(evaluation: Evaluation, model: str, family: str) -> Curve:
    """The accuracy of a model along a family of conditions.

    The point at radius 0 are the images the attack starts from: the clean ones, or those of the domain it is inside.

    :param evaluation: the evaluation.
    :param model: the model's name.
    :param family: a name of :func:`families`, or of any condition of a family.
    :raises ValueError: if there is no such model or family.
    """
    check_names("model", [model], evaluation.models)
    known = families(evaluation)
    holds = {member: title for title, members in known.items() for member in members}
    title = holds.get(family, family)
    require(bool(known), "family", "be one of the evaluation's, which has none", Text(repr(family)))
    check_names("family", [title], list(known))
    points = {radius(evaluation.conditions[name]): evaluation.accuracy(model, name) for name in known[title]}
    start = start_of(evaluation, known[title][0])
    if start is not None:  # an attack that was run at radius 0 keeps its own
        points = {0.0: evaluation.accuracy(model, start), **points}
    eps, rows = tuple(points), tuple(points.values())
    area = None
    if eps[0] == 0:
        heights = [row.accuracy for row in rows]
        area = float(trapezoid(heights, eps)) / eps[-1] if eps[-1] > 0 else heights[0]
    return Curve(model, title, eps, rows, area)


def curves(evaluation: Evaluation, model: str) -> tuple[Curve, ...]:
    """Every curve of a model with at least two points.

    :param evaluation: the evaluation.
    :param model: the model's name.
    """
    found = [curve(evaluation, model, family) for family in families(evaluation)]
    return tuple(one for one in found if len(one.eps) > 1)


def radius(condition: Condition) -> float:
    """The radius of a condition that has one."""
    eps = eps_of(condition)
    assert eps is not None
    return float(eps)


def start_of(evaluation: Evaluation, name: str) -> str | None:
    """The name of the condition whose images an attack starts from; None if it was not performed."""
    condition = evaluation.conditions[name]
    before: Condition = condition.first if isinstance(condition, Then) else Clean()
    return next((other for other, one in evaluation.conditions.items() if one == before), None)

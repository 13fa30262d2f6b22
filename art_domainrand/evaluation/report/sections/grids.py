"""Accuracy over two things at once: attacks inside domains, corruptions by severity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from art_domainrand.evaluation.conditions.kinds import Clean, Corrupted, InDomain, Then
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.sections.conditions import ConditionEntry, entry_of
from art_domainrand.evaluation.report.wording import name_in_words

AS_THEY_ARE, NO_ATTACK = "as they are", "no attack"
"""The first column and the first line of a grid of attacks and domains."""

SEVERITY_CORNER = "Severity \N{RIGHTWARDS ARROW}"
ATTACK_CORNER = "Attack \N{DOWNWARDS ARROW} on images \N{RIGHTWARDS ARROW}"


@dataclass(frozen=True)
class Grid:
    """A table of accuracies, each cell shaded by its own.

    :param model: the model's name.
    :param corner: what the lines and the columns are, as a heading for the first column.
    :param columns: the names of the columns.
    :param lines: for each line its name and its cells, None where nothing was judged.
    """

    model: str
    corner: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[ConditionEntry | None, ...]], ...]


def attack_grids(evaluation: Evaluation) -> tuple[Grid, ...]:
    """What was done last against what was done first, for each model; none where nothing was done in turn."""
    places: dict[tuple[str, str], str] = {}
    firsts, seconds, words = [AS_THEY_ARE], [NO_ATTACK], dict[str, str]()
    for name, condition in evaluation.conditions.items():
        if isinstance(condition, Then):
            first, second = condition.first.name, condition.second.name
            words |= {first: name_in_words(condition.first), second: name_in_words(condition.second)}
            firsts.append(first)
            seconds.append(second)
            places[second, first] = name
    if not places:
        return ()
    for name, condition in evaluation.conditions.items():
        if condition.name in seconds:
            places.setdefault((condition.name, AS_THEY_ARE), name)
        if condition.name in firsts:
            places.setdefault((NO_ATTACK, condition.name), name)
        if isinstance(condition, Clean):
            places.setdefault((NO_ATTACK, AS_THEY_ARE), name)
    columns, lines = tuple(dict.fromkeys(firsts)), tuple(dict.fromkeys(seconds))
    found = (grid_of(evaluation, model, ATTACK_CORNER, columns, lines, places) for model in evaluation.models)
    return tuple(in_these_words(grid, words) for grid in found)


def in_these_words(grid: Grid, words: Mapping[str, str]) -> Grid:
    """The grid, its columns and lines called what people read."""
    columns = tuple(words.get(column, column) for column in grid.columns)
    return replace(grid, columns=columns, lines=tuple((words.get(name, name), cells) for name, cells in grid.lines))


def severity_grids(evaluation: Evaluation) -> tuple[Grid, ...]:
    """Corruptions and domains that were judged at several severities, for each model; none where there are none."""
    places: dict[tuple[str, str], str] = {}
    for name, condition in evaluation.conditions.items():
        if isinstance(condition, Corrupted):
            places[condition.corruption, str(condition.severity)] = name
        elif isinstance(condition, InDomain):
            places[f"domain {condition.called}", str(condition.severity)] = name
    counts = Counter(line for line, _ in places)
    lines = tuple(line for line, count in counts.items() if count > 1)
    if not lines:
        return ()
    columns = tuple(sorted({column for line, column in places if line in lines}))
    return tuple(
        grid_of(evaluation, model, "Severity \N{RIGHTWARDS ARROW}", columns, lines, places)
        for model in evaluation.models
    )


def grid_of(
    evaluation: Evaluation,
    model: str,
    corner: str,
    columns: tuple[str, ...],
    lines: tuple[str, ...],
    places: dict[tuple[str, str], str],
) -> Grid:
    """The grid of a model; ``places`` has the name of the condition at each (line, column)."""

    def cell(line: str, column: str) -> ConditionEntry | None:
        name = places.get((line, column))
        return None if name is None else entry_of(evaluation, model, name, evaluation.conditions[name])

    return Grid(
        model, corner, columns, tuple((line, tuple(cell(line, column) for column in columns)) for line in lines)
    )

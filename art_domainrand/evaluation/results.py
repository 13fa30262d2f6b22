"""Results of an evaluation: frozen records that write themselves to JSON and read themselves back."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from statsmodels.stats.proportion import proportion_confint

from art_domainrand.core.checks import Text, require
from art_domainrand.core.files import check_file, whole_file

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Row:
    """The accuracy of one model in one cell, with its 95% interval; all three proportions are in [0, 1].

    :param model: the model's name.
    :param cell: the name of the cell (a condition such as "pgd").
    :param accuracy: the share of images assigned to their class.
    :param low: the lower end of the interval.
    :param high: the upper end of the interval.
    :param n: the number of images, >= 1.
    :raises ValueError: for proportions that are not in order, and for another ``n``.
    """

    model: str
    cell: str
    accuracy: float
    low: float
    high: float
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be >= 1, got {self.n}")
        if not 0 <= self.low <= self.accuracy <= self.high <= 1:
            values = (self.low, self.accuracy, self.high)
            raise ValueError(f"low, accuracy and high must be in order and in [0, 1], got {values}")

    @classmethod
    def count(cls, model: str, cell: str, correct: int, n: int) -> Row:
        """Make a row of counts; the interval is Wilson's score interval.

        :param model: the model's name.
        :param cell: the name of the cell.
        :param correct: the number of right answers, from 0 to ``n``.
        :param n: the number of images, >= 1.
        :raises ValueError: for counts outside these bounds.
        """
        if not 0 <= correct <= n or n < 1:
            raise ValueError(f"correct must be from 0 to n and n >= 1, got correct={correct}, n={n}")
        return cls(model, cell, correct / n, *wilson_interval(correct, n), n)

    @classmethod
    def share(cls, model: str, cell: str, accuracy: float, n: int) -> Row:
        """Make a row of a mean over ``n`` images, each right in a share of its draws, by Wilson's formula.

        The share of an image varies less than a coin that is right as often, so the interval errs on the wide side.

        :param model: the model's name.
        :param cell: the name of the cell.
        :param accuracy: the mean, in [0, 1].
        :param n: the number of images, >= 1.
        """
        return cls(model, cell, accuracy, *wilson_interval(accuracy * n, n), n)


def wilson_interval(right: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion, which never leaves the proportion out by rounding.

    :param right: how many are right, from 0 to ``n``; a fraction where each is right in a share of its draws.
    :param n: how many there are, >= 1.
    :param confidence: the share of intervals that hold the true proportion.
    """
    low, high = proportion_confint(right, n, 1 - confidence, "wilson")
    share = right / n
    # At 0 and n the interval ends at the proportion itself, but for the last bit.
    return min(max(float(low), 0.0), share), max(min(float(high), 1.0), share)


@dataclass(frozen=True)
class RowsFile(ABC):
    """Rows and how they came about, which become JSON and back.

    What the reports have in common; each says in :meth:`check` what its rows must be.

    :param rows: the rows.
    :param metadata: how they came about: seed, versions, budgets, seconds ...
    :raises ValueError: for rows that do not belong together, and for metadata that use a key of the JSON.
    """

    rows: tuple[Row, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check()
        if "rows" in self.metadata:
            raise ValueError('metadata must not use the key "rows", which is where the rows are written')

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError for rows that do not belong together."""

    def to_json(self) -> str:
        """One JSON object: the metadata at the top level, and ``rows``."""
        return json.dumps({**self.metadata, "rows": [asdict(row) for row in self.rows]}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The report that :meth:`to_json` wrote.

        :param text: the JSON text.
        :raises ValueError: if it is not one.
        """
        content = json.loads(text)
        if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
            raise ValueError('text must be a JSON object with a list "rows"')
        return cls(tuple(read_rows(content.pop("rows"))), content)

    def save(self, path: str | Path) -> None:
        """Write the JSON to a file, whole or not at all.

        :param path: the file.
        """
        with whole_file(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the JSON that :meth:`save` wrote.

        :param path: the file.
        :raises ValueError: as :meth:`from_json` does.
        """
        return cls.from_json(check_file("path", path).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Report(RowsFile):
    """The rows of an evaluation, and how they came about.

    :param rows: the rows, each model and cell once.
    :param metadata: how they came about: seed, versions, budgets, seconds ...
    :raises ValueError: for a model and cell that stand there twice, and for metadata with a key "rows".
    """

    def check(self) -> None:
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            require(isinstance(row, Row), "rows", "hold rows", Text(type(row).__name__), TypeError)
            key = (row.model, row.cell)
            if key in seen:
                raise ValueError(f"rows must hold each model and cell once, got {key} twice")
            seen.add(key)

    @property
    def models(self) -> tuple[str, ...]:
        """The models in order of appearance."""
        return tuple(dict.fromkeys(row.model for row in self.rows))

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells in order of appearance."""
        return tuple(dict.fromkeys(row.cell for row in self.rows))

    def row(self, model: str, cell: str) -> Row:
        """The row of a model in a cell.

        :param model: the model's name.
        :param cell: the cell's name.
        :raises KeyError: if there is none.
        """
        for row in self.rows:
            if (row.model, row.cell) == (model, cell):
                return row
        raise KeyError(f"no row for model {model!r} and cell {cell!r}")

    def gain(self, model: str, baseline: str, cell: str) -> float:
        """How much more accurate one model is than another, in percentage points.

        :param model: the name of the one.
        :param baseline: the name of the other.
        :param cell: the cell in which they are compared.
        :raises KeyError: if one of the rows is missing.
        """
        return 100 * (self.row(model, cell).accuracy - self.row(baseline, cell).accuracy)


def read_rows(entries: Iterable[Any]) -> Iterable[Row]:
    """Turn decoded JSON objects into rows; ValueError for one with other keys or kinds of values."""
    names = {f.name for f in fields(Row)}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != names:
            raise ValueError(f"each of rows must have the keys {sorted(names)}, got {entry!r}")
        texts, numbers = (entry["model"], entry["cell"]), (entry["accuracy"], entry["low"], entry["high"])
        if not (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(number, (int, float)) for number in numbers)
            and type(entry["n"]) is int
        ):
            raise ValueError(f"each of rows must have texts, numbers and a whole n, got {entry!r}")
        yield Row(**entry)

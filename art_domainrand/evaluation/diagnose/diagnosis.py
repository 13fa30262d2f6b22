"""What :func:`~art_domainrand.diagnose` returns: findings, the checks that were made, and the accuracies met."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, TypeVar

from torch import Tensor

from art_domainrand.evaluation.results import Row, RowsFile, read_rows

Numbers = Mapping[str, float]
Record = TypeVar("Record", "Finding", "Check")

FINDING_SEVERITIES = ("warning", "error")
"""A "warning": gradient attacks find less than there is. An "error": they cannot work at all."""

WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """One reason to doubt what gradient attacks say of a model: the numbers behind it, and what to do.

    :param name: the name of the check.
    :param severity: one of :data:`FINDING_SEVERITIES`.
    :param numbers: what was measured, by name; shares and accuracies are in [0, 1].
    :param message: what was found, as a sentence.
    :param advice: what to do about it, as a sentence.
    :raises ValueError: for another severity.
    """

    name: str
    severity: str
    numbers: Numbers
    message: str
    advice: str

    def __post_init__(self) -> None:
        if self.severity not in FINDING_SEVERITIES:
            raise ValueError(f"severity must be one of {list(FINDING_SEVERITIES)}, got {self.severity!r}")

    def __str__(self) -> str:
        return "\n".join(
            textwrap.wrap(f"{self.severity.upper()} {self.name}: {self.message}", WIDTH, subsequent_indent="    ")
            + textwrap.wrap(self.advice, WIDTH, initial_indent="    -> ", subsequent_indent="       ")
        )


@dataclass(frozen=True)
class Check:
    """A check and the numbers it measured.

    :param name: the name of the check.
    :param numbers: what was measured, by name; shares and accuracies are in [0, 1].
    :param skipped: why the check was not made; empty if it was.
    """

    name: str
    numbers: Numbers = field(default_factory=dict)
    skipped: str = ""


@dataclass(frozen=True)
class Diagnosis(RowsFile):
    """All findings and all checks; true if there is nothing to report, and ``str()`` is a text to read.

    :param rows: the accuracies met, in cells such as "clean", "fgsm", "pgd".
    :param metadata: the estimator's class and the settings of the attacks.
    :param findings: what was found; each is named after a check.
    :param checks: what was looked for, each name once.
    :raises ValueError: for findings without their check, a check that stands there twice, and metadata that use a key
        of the JSON.
    """

    findings: tuple[Finding, ...] = ()
    checks: tuple[Check, ...] = ()

    def check(self) -> None:
        names = [check.name for check in self.checks]
        unknown = [finding.name for finding in self.findings if finding.name not in names]
        if unknown or len(set(names)) < len(names):
            raise ValueError(f"checks must hold each name once, and those of all findings, got {names} and {unknown}")
        taken = [key for key in ("findings", "checks") if key in self.metadata]
        if taken:
            raise ValueError(f"metadata must not use the key {taken[0]!r}, which is written from the field")

    @property
    def ok(self) -> bool:
        """Whether there is no finding; a check that was skipped found nothing."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the findings."""
        return tuple(finding.name for finding in self.findings)

    def to_json(self) -> str:
        """One JSON object: the metadata at the top level, ``rows``, ``findings`` and ``checks``."""
        own = {name: [asdict(record) for record in getattr(self, name)] for name in ("findings", "checks")}
        return json.dumps({**json.loads(super().to_json()), **own}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The diagnosis that :meth:`to_json` wrote.

        :param text: the JSON text.
        :raises ValueError: if it is not one.
        """
        content = json.loads(text)
        lists = ("rows", "findings", "checks")
        if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in lists):
            raise ValueError(f"text must be a JSON object with the lists {list(lists)}")
        rows, findings, checks = (content.pop(name) for name in lists)
        return cls(tuple(read_rows(rows)), content, read_records(Finding, findings), read_records(Check, checks))

    def __str__(self) -> str:
        about = self.metadata
        accuracies = ", ".join(f"{row.cell} {100 * row.accuracy:.1f}%" for row in self.rows)
        made = [check.name for check in self.checks if not check.skipped]
        fine = [name for name in made if name not in self.names]
        skipped = [check for check in self.checks if check.skipped]
        lines = [
            f"{plural(len(self.findings), 'finding')} in {plural(len(made), 'check')}"
            + (f" on {self.rows[0].n} images" if self.rows else "")
            + (f", norm {about['norm']}, eps {about['eps']:.4g}" if {"norm", "eps"} <= set(about) else ""),
            *([f"accuracy: {accuracies}"] if self.rows else []),
            *map(str, self.findings),
            *([f"nothing found: {', '.join(fine)}"] if fine else []),
            *(f"skipped {check.name}: {check.skipped}" for check in skipped),
        ]
        return "\n".join(lines)


def plural(n: int, noun: str) -> str:
    """The number and its noun."""
    return f"{n or 'no'} {noun}{'' if n == 1 else 's'}"


def read_records(kind: type[Record], entries: list[Any]) -> tuple[Record, ...]:
    """Turn decoded JSON objects into records; ValueError for one that has other keys than theirs."""
    names = {f.name for f in fields(kind)}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != names:
            raise ValueError(f"each record must have the keys {sorted(names)}, got {entry!r}")
    return tuple(kind(**entry) for entry in entries)


@dataclass
class Notes:
    """What has been found so far."""

    name: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def note(self, name: str, numbers: Numbers, finding: Finding | None) -> None:
        """Write down a check that was made."""
        self.checks.append(Check(name, numbers))
        if finding is not None:
            self.findings.append(finding)

    def skip(self, names: Sequence[str], reason: str) -> None:
        """Write down checks that cannot be made."""
        self.checks.extend(Check(name, skipped=reason) for name in names)

    def count(self, cell: str, right: Tensor) -> float:
        """Write down an accuracy and return it."""
        self.rows.append(Row.count(self.name, cell, int(right.sum()), len(right)))
        return self.rows[-1].accuracy

"""What every summary can do: write itself to JSON and read itself back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Self, get_args

from art_domainrand.core.checks import Text, require
from art_domainrand.core.decoding import field_hints, read_as


class SummaryRecord:
    """A frozen dataclass of numbers, texts, tuples of them and others of its kind, as JSON and back."""

    def to_json(self) -> str:
        """One JSON object with a key for each field."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The summary that :meth:`to_json` wrote.

        :param text: the JSON text.
        :raises ValueError: if it is not one; says where in the document.
        """
        document = json.loads(text)
        require(isinstance(document, dict), "text", "be a JSON object", Text(type(document).__name__))
        found: Self = record_from(cls, document, "")
        return found


def record_from(kind: type[Any], document: dict[str, Any], path: str) -> Any:
    """A dataclass from a mapping with exactly its fields; ``path`` is where in a document it stands."""
    names = [entry.name for entry in fields(kind)]
    require(sorted(document) == sorted(names), path or "text", f"have the keys {names}", list(document))
    hints: dict[str, Any] = field_hints(kind)  # type: ignore[arg-type]
    dot = f"{path}." if path else ""
    readers = {one: _reader(one) for name in names for one in _dataclasses(hints[name])}
    return kind(**{name: read_as(hints[name], document[name], f"{dot}{name}", readers) for name in names})


def _reader(kind: type[Any]) -> Any:
    return lambda document, path: record_from(kind, document, path)


def _dataclasses(hint: Any) -> Iterator[type[Any]]:
    """The dataclasses inside a type hint."""
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from _dataclasses(part)

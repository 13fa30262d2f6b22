"""What was asked for and with what: by it a folder is known, and another evaluation is kept out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from art_domainrand.core.checks import Text, require
from art_domainrand.core.files import whole_file
from art_domainrand.evaluation.conditions.documents import CUSTOM
from art_domainrand.evaluation.running.errors import EvaluationError
from art_domainrand.evaluation.storage.identity import same_answers
from art_domainrand.randomization.kept import without_files

SCHEMA = 2
"""The version of the layout of a folder: since 2 its rows have distances in L0."""

READABLE = (1, 2)
"""The versions that are read, and gone on with."""

MANIFEST_FILE = "manifest.json"

IDENTITY = ("seed", "data", "conditions", "models", "block_size", "predictions", "diagnosed")
"""The entries that must be the same for two evaluations to share a folder; the others only say how it was run."""


def differences(old: Mapping[Any, Any], new: Mapping[Any, Any], path: str = "") -> list[str]:
    """Where two plain documents differ, as "path: old, now new", the deepest path of each."""
    found = []
    for key in [*old, *(key for key in new if key not in old)]:
        place = str(key) if not path else f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
        one, other = old.get(key), new.get(key)
        if key in ("hash", "weights") and key not in old and {old.get("type"), new.get("type")} == {CUSTOM}:
            continue  # a folder from before there was one, of the same name
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and key != "says":
            one, other = dict(enumerate(one)), dict(enumerate(other))
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differences(one, other, place)
        elif key == "says":
            answers_otherwise = f"{path} answers otherwise than before, with the same weights"
            found += [] if same_answers(one, other) else [answers_otherwise]
        elif one != other:
            found.append(f"{place} was {cut(one)} and is {cut(other)}")
    return found


def cut(value: Any) -> str:
    """A value of a document, cut to what a line can hold."""
    said = "absent" if value is None else json.dumps(value)
    return said if len(said) <= 60 else said[:57] + "..."


def check_same(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    """Raise EvaluationError if a folder holds another evaluation, saying what differs.

    :param old: the manifest that the folder has.
    :param new: the one that is asked for now, as plain data.
    :param folder: the folder.
    """
    one, other = (without_files({key: document.get(key) for key in IDENTITY}) for document in (old, new))
    found = differences(one, other)
    # Other images or weights have other answers, which then tell nothing.
    found = [line for line in found if "answers otherwise" not in line] or found
    if found:
        rest = f", and {len(found) - 3} more" if len(found) > 3 else ""
        raise EvaluationError(
            f"{folder} holds another evaluation: {'; '.join(found[:3])}{rest}. Give another folder, or remove this one"
        )


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder; None if it has none.

    :raises EvaluationError: for one that cannot be read, or of another version.
    """
    path = folder / MANIFEST_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from None
    known = isinstance(found, dict) and found.get("schema") in READABLE
    got = Text(f"schema {found.get('schema')!r}" if isinstance(found, dict) else type(found).__name__)
    require(known, str(path), f"be a manifest of schema {' or '.join(map(str, READABLE))}", got, EvaluationError)
    return dict(found)


def write_json(path: Path, document: Any) -> None:
    """Write plain data as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

"""YAML and JSON that mean what they say: plain values, no aliases, no key twice; and the files that they name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DEEPEST_NESTING = 100
"""How many lists and mappings may stand inside one another."""


def read_yaml(text: str) -> Any:
    """The plain data of a YAML text, by ``yaml.safe_load``.

    Aliases (``*name``) are refused: a few lines of them can stand for a document of any size, or for one in itself.

    :param text: the text.
    :raises ValueError: for text that is no YAML, has aliases, or a key twice in a mapping.
    """
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):  # one by one: the first bad one ends it
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("document must not use YAML aliases (*name): write the part out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST_NESTING:  # the reader's time grows with its square
                raise ValueError("document must be nested less deeply")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _check_distinct_nodes(root)
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"document must be YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError("document must be nested less deeply") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # of tags on values that are not theirs
        raise ValueError(f"document must be YAML: {type(error).__name__}: {error}") from None


def read_json_text(text: str) -> Any:
    """The plain data of a JSON text.

    :param text: the text.
    :raises ValueError: for text that is no JSON, or has a key twice in a mapping.
    """
    try:
        return json.loads(text, object_pairs_hook=distinct_keys)
    except json.JSONDecodeError as error:
        raise ValueError(f"document must be JSON: {error}") from None
    except RecursionError:
        raise ValueError("document must be nested less deeply") from None


def files_beside(document: Any, folder: Path) -> Any:
    """A document whose relative files are found, from wherever it is read: what stands under "file" in its mappings.

    :param document: plain data.
    :param folder: where the document itself is.
    """
    if isinstance(document, list):
        return [files_beside(part, folder) for part in document]
    if not isinstance(document, Mapping):
        return document
    return {
        key: path_beside(part, folder) if key == "file" and isinstance(part, str) else files_beside(part, folder)
        for key, part in document.items()
    }


def path_beside(path: str, folder: Path) -> str:
    """A path that a document names: from the working folder, or if it is not there, from that of the document.

    :param path: the path; one that is in neither stays as it is.
    :param folder: where the document is.
    """
    try:
        elsewhere = path and not Path(path).expanduser().exists() and (folder / path).exists()
    except (OSError, RuntimeError, ValueError):  # what can be no path, or the home of nobody, whoever opens it refuses
        return path
    return str(folder / path) if elsewhere else path


def distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of pairs, unless a key stands in it twice: which one was meant?"""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"a key must stand only once in its mapping, got {max(keys, key=keys.count)!r} twice")
    return found


def _check_distinct_nodes(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        distinct_keys([(key.value if isinstance(key, yaml.ScalarNode) else str(key), None) for key, _ in node.value])
        for _, part in node.value:
            _check_distinct_nodes(part)
    elif isinstance(node, yaml.SequenceNode):
        for part in node.value:
            _check_distinct_nodes(part)

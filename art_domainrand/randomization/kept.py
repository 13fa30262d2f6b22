"""Transforms that were learned: a document names the file of their weights, and says by a hash which these were."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, Self

from art_domainrand.randomization.core.transform import Transform

KEPT: dict[str, tuple[str, str]] = {"domain.generator": ("art_domainrand.generative.domain", "DomainGenerator")}
"""Name in documents -> module and class, imported only where a document names it: it stands on a floor above."""


class KeptInFile(Transform):
    """A transform that stands in a document by the name of the file that it was saved to."""

    kept_as: ClassVar[str]
    """Its name in ``KEPT``."""

    @abstractmethod
    def kept(self) -> Mapping[str, Any]:
        """What :meth:`from_kept` takes.

        :raises ValueError: for one that was not saved.
        """

    @abstractmethod
    def known_by(self) -> Mapping[str, Any]:
        """What tells it from others: what :meth:`kept` returns, without the file where there is none."""

    @classmethod
    @abstractmethod
    def from_kept(cls, **parts: Any) -> Self:
        """The transform that :meth:`kept` described.

        :param parts: what it returned.
        :raises ValueError: for a file that holds no such transform, or another one.
        """


def kept_class(name: str) -> type[KeptInFile]:
    """The class of a name in ``KEPT``."""
    module, attribute = KEPT[name]
    found: type[KeptInFile] = getattr(import_module(module), attribute)
    return found


def kept_name(transform: Any) -> str | None:
    """The name in ``KEPT`` of a transform; None for one of a class made from those there, which it would not give back.

    :param transform: a transform, or anything else, which has none.
    """
    own = isinstance(transform, KeptInFile) and kept_class(transform.kept_as) is type(transform)
    return transform.kept_as if own else None


def without_files(document: Any) -> Any:
    """A document without the files of what it knows by a hash, which may have been moved since.

    :param document: plain data.
    """
    if isinstance(document, list):
        return [without_files(part) for part in document]
    if not isinstance(document, Mapping):
        return document
    kind = document.get("type")
    known = isinstance(kind, str) and kind in KEPT and document.get("weights")
    return {key: without_files(part) for key, part in document.items() if not (known and key == "file")}


def names_file(document: Any) -> bool:
    """Whether a document names a file, so that whoever builds what it describes reads that."""
    if isinstance(document, Mapping):
        kind = document.get("type")
        return (isinstance(kind, str) and kind in KEPT) or any(map(names_file, document.values()))
    return isinstance(document, list) and any(map(names_file, document))

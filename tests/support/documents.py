"""Markdown documents: their snippets, their links and the files that they name."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "examples" / "guides").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+)\)")
FILE = re.compile(r"\b(?:tests|examples|art_domainrand)/[\w./-]*\w\.(?:py|md|ipynb|png|svg)\b")


def snippets(document: Path, language: str = "python") -> list[str]:
    """The fenced blocks of one language, in order."""
    return [block for name, block in FENCE.findall(document.read_text(encoding="utf-8")) if name == language]


def run_snippets(document: Path) -> int:
    """Run every Python snippet, in order, in one namespace, as a reader would paste them; how many there were.

    A deprecated name in a snippet is an error.
    """
    namespace: dict[str, object] = {"__name__": "snippet"}
    blocks = snippets(document)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=DeprecationWarning, module="snippet")
        for number, block in enumerate(blocks, start=1):
            exec(compile(block, f"{document.name}, snippet {number}", "exec"), namespace)
    return len(blocks)


def prose(document: Path) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """What the headings are called in a link, as GitHub forms it."""
    headings = re.findall(r"^#+ (.+)$", prose(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """The relative links that lead nowhere, to a missing file or a missing heading."""
    return broken_links_in(prose(document), document)


def broken_links_in(text: str, document: Path) -> Iterator[str]:
    """The same for a ``text`` that stands in ``document``."""
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def missing_files(document: Path) -> list[str]:
    """The files of the project that the text or a command names and that do not exist."""
    names = FILE.findall(document.read_text(encoding="utf-8"))
    return [name for name in names if not (ROOT / name).exists()]

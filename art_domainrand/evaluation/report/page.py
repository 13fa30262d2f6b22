"""Write what an evaluation comes to as files that people and programs read."""

from __future__ import annotations

from pathlib import Path

from art_domainrand.core.files import whole_file
from art_domainrand.evaluation.evaluation import Evaluation
from art_domainrand.evaluation.report.content import page_content
from art_domainrand.evaluation.report.rendering import render


def write_report(evaluation: Evaluation, out: str | Path, *, command: str | None = None) -> tuple[Path, ...]:
    """Write ``report.html``, one file that fetches nothing, ``report.md`` and ``robustbench.json``.

    The same evaluation is written as the same bytes.

    :param evaluation: what was found.
    :param out: the folder; it is made where it is missing.
    :param command: the command that made the evaluation; by default the one in its manifest.
    :return: the paths of the files.
    """
    content = page_content(evaluation, command)
    texts = {"report.html": render("page.html.j2", content), "report.md": render("page.md.j2", content)}
    paths = []
    for name, text in texts.items():
        with whole_file(Path(out) / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
        paths.append(Path(out) / name)
    return tuple(paths)

"""The files of a report: what they hold, in every shape an evaluation can have."""

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

import art_domainrand
from art_domainrand.evaluation.conditions import Attacked, Clean
from art_domainrand.evaluation.report.page import write_report

from support.evaluation import made_up

VOID = {"meta", "link", "br", "img", "hr", "input", "path", "use"}


class Reader(HTMLParser):
    """Reads a page as a tree: its elements, its texts, and whether every tag that opens also closes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts, self.wrong = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def pages(evaluation, folder):
    write_report(evaluation, folder)
    html = (folder / "report.html").read_text(encoding="utf-8")
    page = Reader(html)
    assert not page.wrong
    assert not page.open
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "href"):
            for target in re.findall(r"^#(.+)" if name == "href" else r"\S+", attributes.get(name) or ""):
                assert target in ids or target.startswith("data:"), (name, target)
    return page, html, (folder / "report.md").read_text(encoding="utf-8")


def test_the_accuracies_stand_in_both_forms(tmp_path):
    evaluation = made_up()
    page, _, markdown = pages(evaluation, tmp_path)
    for row in evaluation.rows():
        for text in (f"{100 * row.accuracy:.1f}%", f"{100 * row.low:.1f} to {100 * row.high:.1f}%"):
            assert text in page.text
            assert text in markdown


def test_the_same_evaluation_is_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        paths = write_report(made_up(), tmp_path / folder)
    for path in paths:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()


@pytest.mark.parametrize("models", [("one",), tuple("abcdefgh")])
@pytest.mark.parametrize("conditions", [[Clean()], [Attacked("pgd", 1 / 255)], None])
def test_few_and_many(tmp_path, models, conditions):
    page, _, _ = pages(made_up(models, conditions, n=3), tmp_path)
    assert all(model in page.text for model in models)


def test_every_template_is_installed():
    """The wheel holds what package-data names, and nothing else that is no module."""
    root = Path(art_domainrand.__file__).parent
    project = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["package-data"]
    found = {path for package, globs in data.items() for glob in globs for path in folder_of(package, root).glob(glob)}
    assert {path for path in (root / "evaluation" / "report" / "templates").rglob("*") if path.is_file()} <= found


def folder_of(package, root):
    return root.parent.joinpath(*package.split("."))

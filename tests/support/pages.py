"""Reading pages: their elements, their texts, and whether every tag that opens also closes."""

import re
from html.parser import HTMLParser
from itertools import pairwise

from art_domainrand.evaluation.report.page import write_report

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """A page as a list of elements and of texts; scripts and styles are no text."""

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

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def read_report(evaluation, folder):
    """Write a report; return its page as a sound tree, its HTML and its Markdown."""
    html_path, markdown_path, _ = write_report(evaluation, folder)
    html = html_path.read_text(encoding="utf-8")
    page = Reader(html)
    assert not page.wrong
    assert not page.open
    check_ids(page)
    check_headings(page)
    return page, html, markdown_path.read_text(encoding="utf-8")


def check_ids(page):
    """Every id is there once, and whatever is referred to is there."""
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "href"):
            for target in re.findall(r"^#(.+)" if name == "href" else r"\S+", attributes.get(name) or ""):
                assert target in ids, (name, target)
        for target in re.findall(r"url\(#(.+?)\)", " ".join(map(str, attributes.values()))):
            assert target in ids, target


def check_headings(page):
    """One first heading, and none that skips a level."""
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))

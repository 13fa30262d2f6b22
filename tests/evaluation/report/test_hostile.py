"""Names that were written to break the page, or to run in it; a browser sees them in test_browser.py."""

import re

import pytest
from markdown_it import MarkdownIt

from art_domainrand.evaluation.report.rendering import markdown_safe
from art_domainrand.evaluation.report.text import LONGEST_NAME, visible

from support.hostile import NASTY, hostile
from support.pages import Reader, read_report


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    return read_report(hostile(), tmp_path_factory.mktemp("hostile"))


def test_the_page_holds_nothing_but_text(read):
    page, html, _ = read
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("body")) == 1
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert "hacked" not in (attributes.get("src") or "")
    assert all(one["src"].startswith("data:image/png;base64,") for one in page.all("img"))
    assert "\u202e" not in html
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", html)


@pytest.mark.parametrize("name", [name for name in NASTY if len(name) < LONGEST_NAME])
def test_names_are_shown_as_they_are(read, name):
    assert " ".join(visible(name).split()) in read[0].text


def test_long_names_are_cut(read):
    assert "a" * LONGEST_NAME not in read[1]
    assert "a" * (LONGEST_NAME // 2) in read[1]


def test_markdown_is_text_and_its_tables_keep_their_shape(read):
    html = MarkdownIt("commonmark").enable("table").render(read[2])
    page = Reader(html)
    assert {tag for tag, _ in page.elements} <= {
        *("h1", "h2", "h3", "p", "ul", "li", "strong", "blockquote", "code"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    tables = html.split("<table>")[1:]
    assert len(tables) >= 5
    for table in tables:
        cells = {row.count("<td") + row.count("<th") - row.count("<thead") for row in table.split("<tr>")[1:]}
        assert len(cells) == 1
        assert all(re.search(r"<t[dh][^>]*>[^<]", row) for row in table.split("<tr>")[1:])
    for name in NASTY[:6]:
        assert visible(name) in page.text


@pytest.mark.parametrize("name", [name for name in NASTY if len(name) < LONGEST_NAME])
def test_what_is_safe_for_markdown_reads_as_it_was(name):
    html = MarkdownIt("commonmark").enable("table").render(f"x {markdown_safe(name)} y")
    assert Reader(html).text == " ".join(f"x {visible(name)} y".split())


def test_code_in_markdown_holds_backticks(read):
    assert Reader(MarkdownIt("commonmark").render(read[2])).text.count(f"Command: {NASTY[0]}") == 1

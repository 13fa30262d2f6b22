"""Documents for readers: their snippets run, their links lead somewhere, and each says what it does not cover."""

import inspect
import re

import pytest
from art.attacks.evasion import ProjectedGradientDescentPyTorch, SquareAttack

import art_domainrand

from support.documents import GUIDES, ROOT, broken_links, missing_files, prose, run_snippets

DOCUMENTS = [
    ROOT / "README.md",
    *GUIDES,
    *sorted((ROOT / ".github").glob("*.md")),
    *sorted((ROOT / "tests").glob("*/README.md")),
    *sorted((ROOT / "art_domainrand").glob("*.md")),
]


def called(document):
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", [*GUIDES, ROOT / "art_domainrand" / "ARCHITECTURE.md"], ids=called)
def test_snippets(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_snippets(document) >= 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=called)
def test_links_and_files_exist(document):
    assert list(broken_links(document)) == []
    assert missing_files(document) == []


@pytest.mark.parametrize("guide", GUIDES, ids=called)
def test_guides_are_found_and_say_what_they_do_not_cover(guide):
    assert "\n## Not covered\n" in prose(guide)
    assert f"](examples/guides/{guide.name})" in prose(ROOT / "README.md")


def test_the_changelog_knows_this_version():
    changelog = (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, flags=re.MULTILINE)
    assert released[0] == art_domainrand.__version__


OPTION = re.compile(r"^\| `(\w+)` \| (all|all but `\w+`|`.*?`) \| ", flags=re.MULTILINE)


def test_the_guide_to_attacks_says_who_takes_which_option():
    names = ("FGSM", "PGD", "AutoPGD", "Square", "StrongestAttack", "MinimumNorm", "DomainAttack", "CompositeAttack")
    takes = {name: set(inspect.signature(getattr(art_domainrand, name)).parameters) for name in names}
    takes["Square"] -= set(inspect.signature(SquareAttack).parameters)  # its ``loss`` is ART's, of arrays
    guide = (ROOT / "examples" / "guides" / "attacks.md").read_text(encoding="utf-8")
    table = guide.split("| option | taken by |")[1].split("\n\n")[0]
    said = {
        option: set(names) - set(re.findall(r"\w+", by)) if by.startswith("all") else set(re.findall(r"\w+", by))
        for option, by in OPTION.findall(table)
    }
    assert said == {option: {name for name in names if option in takes[name]} for option in said}
    beyond = takes["PGD"] - set(inspect.signature(ProjectedGradientDescentPyTorch).parameters)
    assert beyond <= set(said)

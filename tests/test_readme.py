"""The README is short, its snippet runs, and its pictures are small."""

import pytest

from support.documents import ROOT, run_snippets

README = ROOT / "README.md"
WORDS = 900
PICTURE_BYTES = 300_000


def test_snippets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_snippets(README) == 1


def test_it_is_short():
    assert len(README.read_text(encoding="utf-8").split()) <= WORDS


@pytest.mark.parametrize("name", ["demo_samples.png", "demo_report.png"])
def test_its_pictures_are_small(name):
    picture = ROOT / "examples" / name
    assert f"]({picture.relative_to(ROOT)})" in README.read_text(encoding="utf-8")
    assert 0 < picture.stat().st_size < PICTURE_BYTES

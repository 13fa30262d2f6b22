"""Every Python snippet of the README runs, in order, in one namespace, as a reader would paste them."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("readme")  # one namespace needs one process

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def namespace():
    return {}


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippet(number, namespace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(SNIPPETS[number], f"README.md, snippet {number + 1}", "exec"), namespace)


def test_there_are_snippets():
    assert len(SNIPPETS) >= 3

"""Every Python snippet of the README runs, in order, in one namespace, as a reader would paste them."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_snippets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    assert len(SNIPPETS) >= 3
    for number, snippet in enumerate(SNIPPETS, start=1):
        exec(compile(snippet, f"README.md, snippet {number}", "exec"), namespace)

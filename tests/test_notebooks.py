"""The notebooks are small, executed from top to bottom without an error, and show pictures.

``.ci/run`` executes them anew with ``jupyter execute``.
"""

import json

import pytest

from support.documents import ROOT, broken_links_in

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
BYTES = 500_000


def cells(notebook, kind):
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_executed_in_order_and_small(notebook):
    code = cells(notebook, "code")
    outputs = [output for cell in code for output in cell["outputs"]]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert all(output.get("name") != "stderr" for output in outputs)
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) >= 3
    assert notebook.stat().st_size < BYTES


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(notebook):
    text = "\n".join("".join(cell["source"]) for cell in cells(notebook, "markdown"))
    assert list(broken_links_in(text, notebook)) == []

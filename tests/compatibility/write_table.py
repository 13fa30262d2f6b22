"""Write the compatibility table of examples/guides/art.md from the rows that test_contract.py tests.

Run ``python tests/compatibility/write_table.py``; a test holds that the guide shows what this writes.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
GUIDE = TESTS.parent / "examples" / "guides" / "art.md"
BEGIN, END = "<!-- rows: begin -->\n", "\n<!-- rows: end -->"


def table(rows: Iterable) -> str:
    """The rows of the contract as a table in Markdown."""
    head = ["| component | with DomainRandomization | with our attacks | tests |", "|---|---|---|---|"]
    lines = [
        f"| {row.component} | {row.with_randomization} | {row.with_attacks} | "
        f"{', '.join(f'`{name}`' for name in (f'[{row.key}]', *row.elsewhere))} |"
        for row in rows
    ]
    return "\n".join(head + lines)


def with_table(text: str, rows: Iterable) -> str:
    """The guide's text with the table of ``rows`` between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{GUIDE.name} must hold the marks {BEGIN.strip()} and {END.strip()}")
    return before + begin + table(rows) + end + after


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    from compatibility.components import ROWS

    GUIDE.write_text(with_table(GUIDE.read_text(encoding="utf-8"), ROWS), encoding="utf-8")

"""What Kornia computes and what this package does itself, measured row by row: the table of the guide.

    python tests/benchmarks/kornia_table.py [--rounds 15] [--only PATTERN] [--write]

Both sides run in one process, alternately, on one thread, with the same values; the ratio of the median times is
Kornia's over ours. ``--write`` puts the table into ``examples/guides/randomization.md``.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from kornia_rows import ROWS, Row, apply_ours, gradients_compared, same_bits_when_sliced, values_for
from torch import Tensor

from art_domainrand.randomization import Frame

from measure import interleaved, surroundings

GUIDE = Path(__file__).parents[2] / "examples" / "guides" / "randomization.md"
START, END = "<!-- table: python tests/benchmarks/kornia_table.py --write -->", "<!-- end of the table -->"
SIZES = ((64, 3, 32, 32), (16, 3, 128, 128))
COLUMNS = (
    "transform", "Kornia's function", "computed by", "why not Kornia's", "difference", "Kornia's gradient",
    "same bits in a slice", "64x3x32x32, forward", "and backward", "16x3x128x128, forward", "and backward",
)  # fmt: skip


def forward(change: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    """The change without a gradient."""

    def run() -> None:
        with torch.no_grad():
            change(x)

    return run


def backward(change: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], object]:
    """The change and the gradient of the image."""
    source = x.clone().requires_grad_()
    weight = torch.ones_like(change(x))
    return lambda: torch.autograd.grad(change(source), source, weight)


def ratios(row: Row, rounds: int) -> list[str]:
    """How many times as long Kornia takes, forward and with the gradient, at both sizes; "" where it has none."""
    found = []
    for shape in SIZES:
        x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        transform = row.made()
        values = values_for(transform, len(x))
        sides = (
            lambda z, t=transform, v=values: apply_ours(row, z, v, t),
            lambda z, t=transform, v=values: row.theirs(z, v, t),
        )
        for wrap in (forward, backward):
            try:
                runs = dict(zip(("ours", "theirs"), (wrap(side, x) for side in sides), strict=True))
                times = interleaved(runs, rounds, x.device)
            except RuntimeError:  # no gradient on Kornia's side
                found.append("")
                continue
            found.append(f"{statistics.median(times['theirs']) / statistics.median(times['ours']):.2f}")
    return found


def matrix_ratio(row: Row, rounds: int) -> float:
    """How many times as long Kornia takes for the matrices of 64 images."""
    transform = row.made()
    values = values_for(transform, SIZES[0][0])
    runs = {"ours": lambda: transform.matrix(values, Frame(3, 32, 32)), "theirs": lambda: row.matrix(values)}
    times = interleaved(runs, 20 * rounds, torch.device("cpu"))
    return statistics.median(times["theirs"]) / statistics.median(times["ours"])


def measured(row: Row, rounds: int) -> list[str]:
    """The cells of a row."""
    words = ", ".join(row.why) + (": " if row.why and row.note else "") + row.note
    if row.matrix is not None:
        words += f"; the matrix alone {matrix_ratio(row, rounds):.1f}"
    cells = [f"`{row.name}`", row.kornia, row.by, words]
    if row.theirs is None:
        return [*cells, *[""] * 7]
    difference = ""
    if not row.random:
        x = torch.rand(SIZES[0], generator=torch.Generator().manual_seed(0))
        transform = row.made()
        values = values_for(transform, len(x))
        largest = (apply_ours(row, x, values, transform) - row.theirs(x, values, transform)).abs().max().item()
        difference = "0" if largest == 0 else f"{largest:.0e}"
    sliced = "yes" if same_bits_when_sliced(row) else "no"
    return [*cells, difference, gradients_compared(row), sliced, *ratios(row, rounds)]


def table(rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [COLUMNS, ["---"] * 7 + ["---:"] * 4, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="a regular expression: the rows whose names have it")
    parser.add_argument("--write", action="store_true", help=f"put the table into {GUIDE.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    for row in ROWS:
        if re.search(options.only, row.name):
            rows.append(measured(row, options.rounds))
            print(" | ".join(rows[-1]), flush=True)
    if options.write:
        facts = surroundings(torch.device("cpu"))
        where = f"{facts['device']}, one thread, torch {facts['torch']}, Kornia {facts['kornia']}, {date.today()}."
        before, _, rest = GUIDE.read_text().partition(START)
        after = rest.partition(END)[2]
        GUIDE.write_text(f"{before}{START}\n{where}\n\n{table(rows)}\n{END}{after}")


if __name__ == "__main__":
    main()

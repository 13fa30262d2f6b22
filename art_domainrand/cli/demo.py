"""``art-domainrand demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from art_domainrand.cli.app import app, errors_in_one_line


@app.command(epilog="Example:\n\nart-domainrand demo --out demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the page and all that it is made of.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Same seed, same numbers; >= 0.")] = 0,
) -> None:
    """Train four classifiers of real digits, attack them, and compare: a table, and a page (report.html)."""
    with errors_in_one_line():
        # torch and ART take seconds to import; --help must not wait for them.
        from art_domainrand.demo.steps import TITLES, demonstrate
        from art_domainrand.evaluation import evaluate, table, write_report

        report = demonstrate(evaluate, write_report, out, seed, verbose=True)
        typer.echo("\nAccuracy in %, with 95% intervals\n")
        typer.echo(table(report, TITLES))
        files = ", ".join(str(out / name) for name in ("report.html", "samples.png", "report.json"))
        typer.echo(f"\nSeconds: {report.metadata['seconds']}. Written: {files}")

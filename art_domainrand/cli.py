"""The ``art-domainrand`` command. Nothing else in the package prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

# No boxes and no colours: an error is one line that can be read in any log.
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Gradient attacks and domain randomization for the Adversarial Robustness Toolbox."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for samples.png and report.json.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Same seed, same numbers; >= 0.")] = 0,
) -> None:
    """Train four classifiers of real digits, attack them, and compare: a table, samples.png and report.json."""
    with errors_in_one_line():
        # torch and ART take seconds to import; --help must not wait for them.
        from art_domainrand.demo import TITLES, run_demo
        from art_domainrand.evaluation import table

        report = run_demo(out, seed, verbose=True)
        typer.echo("\nAccuracy in %, with 95% intervals\n")
        typer.echo(table(report, TITLES))
        typer.echo(f"\nSeconds: {report.metadata['seconds']}. Written: {out / 'samples.png'}, {out / 'report.json'}")


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn bad input and failing files into one line on stderr and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None

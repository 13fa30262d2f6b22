"""The application that the commands are added to, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

# No boxes and no colours: an error is one line that can be read in any log.
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Gradient attacks and domain randomization for the Adversarial Robustness Toolbox."""


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn bad input and failing files into one line on stderr and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None

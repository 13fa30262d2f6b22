"""``art-domainrand list``."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import typer

from art_domainrand.cli.app import app

if TYPE_CHECKING:
    from art_domainrand.randomization.describe import Entry


@app.command("list", epilog="Example:\n\nart-domainrand list")
def catalogue() -> None:
    """List all transforms, mixings, corruptions, domains and presets: parameters, units, differentiable or not."""
    from art_domainrand.randomization.describe import describe

    entries = list(describe())
    width = max(len(entry.name) for entry in entries) + 2
    kinds = dict.fromkeys(entry.kind for entry in entries)
    parts = ["\n".join([kind.capitalize(), *(_line(e, width) for e in entries if e.kind == kind)]) for kind in kinds]
    typer.echo("\n\n".join(parts))


def _line(entry: Entry, width: int) -> str:
    """One entry, its parameters wrapped to the width of the terminal."""
    start = f"  {entry.name:{width}}{'differentiable' if entry.differentiable else 'not differentiable':20}"
    return textwrap.fill(
        "; ".join(entry.parameters),
        width=max(shutil.get_terminal_size((120, 24)).columns, len(start) + 40),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
    )

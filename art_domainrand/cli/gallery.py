"""``art-domainrand gallery``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from art_domainrand.cli.app import app, errors_in_one_line


@app.command(epilog="Example:\n\nart-domainrand gallery --out gallery.png --image photo.jpg --names rotation,fog")
def gallery(
    out: Annotated[Path, typer.Option(help="The picture to be written.")] = Path("gallery.png"),
    image: Annotated[Path | None, typer.Option(help="An image file; a photograph by default.")] = None,
    names: Annotated[
        list[str] | None, typer.Option(help="Only these, separated by commas or by repeating the option.")
    ] = None,
) -> None:
    """Draw a labelled contact sheet of every transform, mixing, corruption and domain."""
    with errors_in_one_line():
        from art_domainrand.gallery import save_gallery

        chosen = [name.strip() for text in names or () for name in text.split(",")]
        count = save_gallery(out, image, chosen or None)
        typer.echo(f"{count} tiles, written: {out}")

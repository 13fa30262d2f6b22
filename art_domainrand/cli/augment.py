"""``art-domainrand augment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from art_domainrand.cli.app import app, errors_in_one_line

if TYPE_CHECKING:
    from art_domainrand.randomization import Pipeline


@app.command(epilog="Example:\n\nart-domainrand augment photos augmented --pipeline mild --copies 3")
def augment(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The source: a folder of images, in any sub-folders.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or that of a run to be resumed.")],
    pipeline: Annotated[str, typer.Option(help="The name of a preset, or a JSON or YAML file.")],
    copies: Annotated[int, typer.Option(help="Randomized versions of each image; >= 1.")] = 1,
    seed: Annotated[int, typer.Option(help="Same seed, same files; >= 0.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes; they change the speed alone.")] = 1,
) -> None:
    """Write an augmented image folder: every image of IN, and randomized copies of it beside it.

    Run it again after it was stopped, and it goes on. Files that are no images are left out. Exit code 1 says that an
    image could not be read or written, or that there was none.
    """
    with errors_in_one_line():
        from art_domainrand.augment import augment_folder

        report = augment_folder(source, out, _find(pipeline), copies, seed, workers, verbose=True)
        typer.echo(f"{report.images} images with {copies} randomized each are in {out}")
    if report.others:
        shown = ", ".join(report.others[:10]) + (", ..." if len(report.others) > 10 else "")
        typer.echo(f"Left out, as they are no images: {len(report.others)} files ({shown})", err=True)
    if report.failures:
        listed = "".join(f"\n  {name}: {reason}" for name, reason in report.failures)
        typer.echo(f"Error: {len(report.failures)} files could not be augmented and were left out:{listed}", err=True)
        raise typer.Exit(1)
    if not report.images:
        typer.echo(f"Error: {source} must hold images, got none", err=True)
        raise typer.Exit(1)


def _find(pipeline: str) -> Pipeline:
    """The preset of that name, else the pipeline in that file."""
    from art_domainrand.randomization import PRESETS, load_pipeline

    if pipeline in PRESETS:
        return PRESETS[pipeline]
    if Path(pipeline).suffix not in (".json", ".yaml", ".yml"):
        raise ValueError(f"pipeline must be one of {list(PRESETS)} or a JSON or YAML file, got {pipeline!r}")
    return load_pipeline(Path(pipeline).expanduser())

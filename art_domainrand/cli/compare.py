"""``art-domainrand compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from art_domainrand.cli.app import app, errors_in_one_line, tell
from art_domainrand.cli.run_config import separated

_EPILOG = """Examples:

art-domainrand compare evaluation-of-a evaluation-of-b

art-domainrand compare evaluation --models standard,adversarial"""


@app.command("compare", epilog=_EPILOG)
def compare_command(
    first: Annotated[Path, typer.Argument(metavar="A", help="The --out of an evaluation.")],
    second: Annotated[
        Path | None, typer.Argument(metavar="B", help="That of another on the same images; else two models of A.")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="The model of A and the one of B, where there are several.", metavar="ONE,OTHER")
    ] = None,
) -> None:
    """Compare two models sample by sample: McNemar's exact test in each condition, corrected for their number."""
    with errors_in_one_line():
        from art_domainrand.evaluation.folder import load_evaluation
        from art_domainrand.evaluation.summary import compare

        names = None if models is None else tuple(separated(models))
        if names is not None and len(names) != 2:
            raise ValueError(f"--models must be two names with a comma between them, got {models!r}")
        a = load_evaluation(first.expanduser())
        b = None if second is None else load_evaluation(second.expanduser())
        tell(str(compare(a, b, models=names)))

"""The application that the commands are added to, and how they fail."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from traceback import format_exception
from typing import Annotated

import typer

# Threads that wait for work leave the processor to others: on a busy machine a run takes an eighth of the time. OpenMP
# reads it when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No boxes and no colours: an error is one line that can be read in any log.
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, add_completion=True)

FAILED, BAD_ARGUMENTS, BELOW = 1, 2, 3
"""Exit codes: something went wrong half-way, the arguments cannot be meant, a result is below what was asked for."""

SHOW_TRACEBACK: ContextVar[bool] = ContextVar("SHOW_TRACEBACK", default=False)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        try:
            typer.echo(f"art-domainrand {version('art-domainrand')}")
        except PackageNotFoundError:
            from art_domainrand import __version__  # takes seconds; a package that is not installed has nothing else

            typer.echo(f"art-domainrand {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in the code an error arose.")] = False,
) -> None:
    """Gradient attacks and domain randomization for the Adversarial Robustness Toolbox."""
    SHOW_TRACEBACK.set(traceback)


@contextmanager
def errors_in_one_line(code: int = BAD_ARGUMENTS, *, kept: str = "") -> Iterator[None]:
    """Turn errors into one line on stderr and an exit code, and warnings into lines.

    :param code: the exit code of bad input and failing files; whatever else goes wrong has 1.
    :param kept: what to say of the work so far when the user stops it.
    """
    try:
        with warnings_in_lines():
            yield
    except KeyboardInterrupt:
        complain(f"Stopped{kept}", "")
        raise typer.Exit(FAILED) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # a user gets a line, not a traceback, which --traceback shows
        if SHOW_TRACEBACK.get():
            typer.echo("".join(format_exception(error)), err=True)
        said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        own = isinstance(error, OSError) or type(error).__name__ in (
            "ValueError",
            "EvaluationError",
            "NoEvaluationError",
        )
        complain(said if own and said else f"{type(error).__name__}: {said}".removesuffix(": "))
        bad_input = isinstance(error, (ValueError, TypeError, KeyError, OSError))
        raise typer.Exit(code if bad_input else FAILED) from None


def complain(message: str, start: str = "Error: ") -> None:
    """Print one line on stderr; what would break or change the line is written out."""
    which = "" if leads() else f"[process {os.environ['RANK']}] "
    typer.echo(printable(f"{start}{which}{message}"), err=True)


def tell(text: str) -> None:
    """Print a result, in the first of several processes only."""
    if leads():
        typer.echo("\n".join(printable(line) for line in text.split("\n")))


def leads() -> bool:
    """Whether this process speaks for all: the only one, or torchrun's first."""
    return os.environ.get("RANK", "0") == "0"


def printable(text: str) -> str:
    """Text as one line that any terminal can show: control characters and halves of characters are written out."""
    line = " ".join(part for part in text.splitlines() if part.strip()) if len(text.splitlines()) > 1 else text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in line
    )


@contextmanager
def warnings_in_lines() -> Iterator[None]:
    """Warnings inside are lines on stderr, without a place in the code; those for programmers are not shown."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.showwarning = lambda message, *_, **__: complain(str(message), "Warning: ") if leads() else None
        yield

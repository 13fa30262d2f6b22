"""What went wrong in a run, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class EvaluationError(RuntimeError):
    """An evaluation that cannot go on; what is finished is kept.

    :param message: where in it, and why, in one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


class NoEvaluationError(EvaluationError, ValueError):
    """A folder that holds no evaluation: another was meant.

    :param message: which folder, and what is missing.
    """


@contextmanager
def located(place: str) -> Iterator[None]:
    """Exceptions inside become an :class:`EvaluationError` that says at which ``place``; their first line is kept."""
    try:
        yield
    except EvaluationError:
        raise
    except Exception as error:  # models, data and conditions are the user's, and raise what they like
        raise EvaluationError(f"{place}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """An exception in one line: its kind, unless its message is enough, and what it says first."""
    said = str(error).strip().splitlines()
    kind = type(error).__name__
    if isinstance(error, OSError) and error.strerror is not None:
        return error.strerror + (f": {error.filename!r}" if error.filename else "")
    if not said:
        return kind
    return said[0] if isinstance(error, (ValueError, TypeError)) else f"{kind}: {said[0]}"

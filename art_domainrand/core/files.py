"""Files that are either whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STEM_BYTES = 100
"""File systems take names of 143 or 255 bytes, and a file of the longest name needs a temporary one, too."""


def check_file(argument: str, path: str | Path) -> Path:
    """Return ``path``; refuse what is there but is no file: there is nothing to read, or a pipe would be waited for.

    :param argument: what it is called in the error.
    :param path: the file; one that is not there is left to whoever opens it.
    :raises ValueError: naming what is there instead.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe, a socket or a device"
        raise ValueError(f"{argument} must be a file, got {str(path)!r}, which is {kind}")
    return path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there becomes ``path`` if the block ends well.

    Missing folders are made. An exception leaves no trace and an older ``path`` as it was. The temporary name keeps the
    suffix of ``path``, by which writers choose their format.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=partial_prefix(path), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~current_umask())  # mkstemp's 0600 would hide the result from everybody else
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def partial_prefix(path: Path) -> str:
    """How the names of temporary files for ``path`` begin: by its stem, cut where the whole would be too long a name.

    Eight random letters, digits or underscores and the suffix of ``path`` follow.
    """
    stem = path.stem
    while len(os.fsencode(stem)) > STEM_BYTES:
        stem = stem[:-1]
    return f".{stem}-"


def current_umask() -> int:
    """The permissions that new files are denied; the system can only tell by setting them."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_folder(name: str, path: str | Path) -> Path:
    """Return ``path`` if it is a folder that can be written to, or can be made one; else raise ValueError.

    Nothing stays behind, so that a long run can check its output first and leaves no trace if it is stopped.
    """
    path = Path(path).expanduser()
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(f"{name} must be a folder, got {str(path)!r} where {str(existing)!r} is a file")
    try:
        # Only trying tells: permission bits say nothing of read-only file systems, and everything is allowed to root.
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{name} must be a folder that can be written to, got {str(path)!r}: {reason}") from None
    return path

"""Models that somebody's Python makes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require


def made_by_code(place: str, name: str) -> Any:
    """Run a file or import a module, and call what has that name in it.

    :param place: ``FILE.py``, or a dotted name of a module.
    :param name: what to take from there: a function or class that needs no argument, or the model itself.
    :return: whatever it gives.
    :raises ValueError: for code that cannot be run, or has no such name.
    """
    is_file = place.endswith(".py")
    folder = Path(place).expanduser().resolve().parent if is_file else Path.cwd()
    with importable(folder):
        try:
            module = run_file(Path(place).expanduser().resolve()) if is_file else importlib.import_module(place)
        except Exception as error:  # whatever the user's code raises
            raise ValueError(f"model must be made by code that runs, got {place!r}: {kind_and_words(error)}") from error
        known = [one for one in vars(module) if not one.startswith("_")]
        hint = nearest(name, known)
        require(hasattr(module, name), "model", f"name something in {place}", Text(f"{name!r}{hint}"))
        found = getattr(module, name)
        if not callable(found) or (hasattr(found, "state_dict") and not isinstance(found, type)) or is_estimator(found):
            return found
        try:
            return found()
        except Exception as error:  # the same
            said = kind_and_words(error)
            raise ValueError(f"model must be made by a call without arguments, got {place}:{name}: {said}") from error


def is_estimator(value: Any) -> bool:
    """Whether it is an ART estimator, by what all of them have."""
    return all(hasattr(value, name) for name in ("predict", "input_shape", "clip_values"))


def run_file(path: Path) -> ModuleType:
    """The module that a file is, under a name of its own, so that no installed module is hidden."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {str(path)!r}")
    name = f"_model_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no Python: {str(path)!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """The modules of a folder can be imported inside, as they can by a script that stands there."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def kind_and_words(error: BaseException) -> str:
    """An exception in one line: its kind and what it says, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400].removesuffix(": ")

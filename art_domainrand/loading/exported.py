"""Models in files of their own: exported programs and TorchScript."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from art_domainrand.core.checks import Text, require
from art_domainrand.loading.code import kind_and_words

SUFFIXES = (".pt2", ".pt", ".pth", ".ts", ".torchscript")
"""How such files end."""

FORCE_PLAIN = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""The variable that makes torch refuse pickles, also where its own reader of exported programs would take them."""


class ExportedModule(nn.Module):
    """A program that knows no training mode.

    :param program: the module to run.
    """

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, x: Tensor) -> Any:
        """What the program gives for images."""
        return self.program(x)

    def train(self, mode: bool = True) -> Self:
        """Nothing to change but the flag: an exported program stays in the mode it was exported in."""
        self.training = mode
        return self


def from_file(path: Path) -> nn.Module:
    """Load an exported program (``torch.export.save``) or a TorchScript file (``torch.jit.save``).

    :param path: the file; what it is, is told by what is in it.
    :raises ValueError: for a file that is neither.
    """
    require(path.is_file(), "model", "be a file that is there", str(path))
    kind = kind_of_archive(path)
    advice = "; the weights of a model go to --weights, its architecture to --model" if kind == "weights" else ""
    require(kind in FILE_READERS, "model", "be an exported program or TorchScript", Text(f"{str(path)!r}{advice}"))
    try:
        with plain_loading(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, which is not news for who has such a file
            return FILE_READERS[kind](path)
    except Exception as error:  # a broken file makes torch raise whatever it does
        raise ValueError(f"model must be a file that can be read, got {str(path)!r}: {kind_and_words(error)}") from None


def kind_of_archive(path: Path) -> str:
    """What is in a file, by the names in its archive: "exported", "script", "weights" or ""."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return ""
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        return "script"
    if any(
        name.endswith(("archive_format", "serialized_exported_program.json", "/models/model.json")) for name in names
    ):
        return "exported"
    return "weights" if any(name.endswith("data.pkl") for name in names) else ""


@contextmanager
def plain_loading() -> Iterator[None]:
    """No pickle is run inside, whatever torch's own code asks for."""
    before = {name: os.environ.pop(name, None) for name in (FORCE_PLAIN, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")}
    os.environ[FORCE_PLAIN] = "1"
    try:
        yield
    finally:
        del os.environ[FORCE_PLAIN]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def exported_program(path: Path) -> nn.Module:
    """The module of an exported program."""
    return ExportedModule(torch.export.load(path).module())


def script(path: Path) -> nn.Module:
    """The module of a TorchScript file."""
    module: nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


FILE_READERS = {"exported": exported_program, "script": script}

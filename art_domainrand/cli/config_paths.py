"""The paths in a config, which may be run from any folder: from the working folder, or else from that of the config."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from art_domainrand.cli.run_config import RunConfig
from art_domainrand.core.documents import files_beside, path_beside

OWN_NAME = re.compile(r"([\w. -]+)=(.+)", re.DOTALL)
"""A name of one's own before a model."""

PLACED = ("npz", "imagefolder", "cifar10c", "cifar10", "mnist", "fashion_mnist")
"""Data whose names have a path after the colon."""


def from_config(config: RunConfig, folder: Path) -> RunConfig:
    """The run of a config whose relative paths are found from the working folder: of models, weights, data, conditions.

    A path that is in the working folder stays as it is, and so does ``out``, which is made there.

    :param config: what the config says.
    :param folder: where the config is.
    """
    return replace(
        config,
        model=tuple(model_beside(entry, folder) for entry in config.model),
        weights=tuple(path_beside(entry, folder) for entry in config.weights),
        data=data_beside(config.data, folder),
        conditions=tuple(files_beside(list(config.conditions), folder)),
    )


def model_beside(entry: str, folder: Path) -> str:
    """A model, perhaps after ``NAME=``: ``FILE.py:NAME`` or a file; others name no path."""
    own = OWN_NAME.fullmatch(entry)
    before, model = (f"{own[1]}=", own[2]) if own is not None else ("", entry)
    place, colon, name = model.rpartition(":")
    if not colon:
        return before + path_beside(model, folder)
    return f"{before}{path_beside(place, folder)}:{name}" if place.endswith(".py") else entry


def data_beside(data: str, folder: Path) -> str:
    """Data by name, of which some have a path after the colon."""
    kind, colon, place = data.partition(":")
    return f"{kind}:{path_beside(place, folder)}" if colon and kind in PLACED else data

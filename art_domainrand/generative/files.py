"""Networks in files of weights and plain values, which are read without running any pickle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from art_domainrand.core.checks import Text, require
from art_domainrand.core.digests import tensors_digest
from art_domainrand.core.files import whole_file
from art_domainrand.core.plain_files import read_plain

OfFile = TypeVar("OfFile", bound=nn.Module)

NETWORK_VERSION = 1
"""The version of the file's layout."""


def absolute(path: str | Path) -> Path:
    """Where a file is, also for who works in another folder."""
    return at_home(path).resolve()


def at_home(path: str | Path) -> Path:
    """A path with ~ as a home folder; ValueError if whose it is is not known."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"path must be a path, got {str(path)!r}: {error}") from None


def write_network(path: str | Path, kind: str, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values to a file; whole, or not at all.

    :param path: the file.
    :param kind: what it is of, so that no other class reads it.
    :param state: what to keep.
    """
    with whole_file(at_home(path)) as temporary:
        torch.save({"version": NETWORK_VERSION, "kind": kind, **state}, temporary)


def read_network(path: str | Path, kind: str) -> dict[str, Any]:
    """What :func:`write_network` has written, on the CPU.

    :param path: the file.
    :param kind: what it must be of.
    :raises ValueError: for a file of another kind or version, and one that is broken or holds more than weights.
    """
    path = at_home(path)
    state = read_plain(path, "path", f"be a file of {kind}")
    known = isinstance(state, dict) and state.get("kind") == kind and state.get("version") == NETWORK_VERSION
    named = Text(f"{str(path)!r}")
    require(known, "path", f"be a file of {kind}, version {NETWORK_VERSION}", named)
    return dict(state)


def weights_digest(network: nn.Module) -> str:
    """A short hash of a network's weights, the same in every process."""
    return tensors_digest(network.state_dict())


def network_of_file(make: Callable[[], OfFile], blocks: int, weights: Mapping[str, Any]) -> OfFile:
    """The network that a file describes, with the weights that it holds.

    What a file of a few bytes claims is not built: a network takes memory by its weights alone.

    :param make: the network.
    :param blocks: how many blocks the file says that it has.
    :param weights: its state.
    :raises RuntimeError: where the two do not fit, and for weights that are not finite.
    """
    if blocks > len(weights):
        raise RuntimeError(f"{blocks} blocks have more than {len(weights)} weights")
    with torch.device("meta"):
        network = make()
    network.load_state_dict(weights, assign=True)
    if not all(value.isfinite().all() for value in network.state_dict().values()):
        raise RuntimeError("weights are not finite")
    return network


@contextmanager
def whole_file_of(kind: str, path: str | Path) -> Iterator[None]:
    """Say which file it is, should it lack what is taken from it in the ``with`` block, or not fit.

    :param kind: what it is of.
    :param path: the file.
    """
    try:
        yield
    except (KeyError, RuntimeError, TypeError) as error:
        first = " ".join(str(error).split("\n", 2)[:2]).replace("\t", "")  # torch has a line for each tensor
        raise ValueError(f"path must be a whole file of {kind}, got {str(path)!r}: {first}") from error

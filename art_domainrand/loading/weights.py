"""Weights from files that hold nothing but weights."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from art_domainrand.core.checks import Text, require
from art_domainrand.loading.code import kind_and_words
from art_domainrand.loading.registries import library

WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""Under which names checkpoints keep the weights."""

PREFIXES = ("module.", "model.", "net.", "_orig_mod.")
"""What wrappers put before the names of weights: DataParallel, training frameworks, torch.compile."""

NAMES_SHOWN = 3


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    :param path: a safetensors file, or one of ``torch.save``, which is read without running any pickle.
    :raises ValueError: for a file that holds anything but plain data, or no weights.
    """
    require(path.is_file(), "weights", "be a file that is there", str(path))
    try:
        if path.suffix == ".safetensors":
            content = library("safetensors.torch", "safetensors").load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the pickle's version
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"weights must be plain tensors by name, got {str(path)!r}, a pickle of other things, which could run code "
            "and is not loaded; save model.state_dict()"
        ) from None
    except Exception as error:  # whatever a broken file makes the reader raise
        raise ValueError(
            f"weights must be in a file that can be read, got {str(path)!r}: {kind_and_words(error)}"
        ) from None
    found = unwrapped_weights(content)
    require(found, "weights", "hold tensors by name", Text(f"{str(path)!r} with {type(content).__name__}"))
    return found


def unwrapped_weights(content: Any) -> dict[str, Tensor]:
    """The tensors by name in what a checkpoint holds; an empty dict if there are none."""
    while isinstance(content, Mapping) and not all(isinstance(value, Tensor) for value in content.values()):
        inner = [content[key] for key in WRAPPINGS if isinstance(content.get(key), Mapping)]
        if not inner:
            return {}
        content = inner[0]
    return {str(name): value for name, value in content.items()} if isinstance(content, Mapping) else {}


def fit_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put weights into a module, all of them and no others.

    :param module: the module.
    :param weights: tensors by name; what wrappers put before the names is taken off.
    :raises ValueError: if names or shapes do not fit, with the first of them.
    """
    own = module.state_dict()
    names = dict(weights)
    while not names.keys() & own.keys():
        prefix = next((one for one in PREFIXES if all(name.startswith(one) for name in names)), None)
        if prefix is None:
            break
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    missing, surplus = [name for name in own if name not in names], [name for name in names if name not in own]
    wrong = [name for name in own if name in names and names[name].shape != own[name].shape]
    said = [f"without {shortened_list(missing)}"] if missing else []
    said += [f"with {shortened_list(surplus)}, which it has not"] if surplus else []
    said += [
        f"with {name} of shape {tuple(names[name].shape)} instead of {tuple(own[name].shape)}"
        for name in wrong[:NAMES_SHOWN]
    ]
    require(not said, "weights", "be those of the model", Text("; ".join(said)))
    module.load_state_dict(names)


def shortened_list(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more

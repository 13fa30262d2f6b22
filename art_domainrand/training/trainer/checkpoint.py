"""A training run on disk: whole files only, loadable without unpickling code, resumed bit for bit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_domainrand.core.checks import Text, require
from art_domainrand.core.digests import tensors_digest
from art_domainrand.core.files import whole_file
from art_domainrand.core.plain_files import read_plain
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.weights_in import weights_in

LAST, BEST = "last.pt", "best.pt"
CHECKPOINT_VERSION = 2
LATER = ("weights", "validation_domain")
"""Last words of settings that the first files of this version do not hold: it is not known what those were."""


def save(folder: Path, name: str, state: dict[str, Any]) -> None:
    """Write ``state``, made of tensors and plain values, to ``folder / name``, or leave what is there."""
    with whole_file(folder / name) as path:
        torch.save(native({"version": CHECKPOINT_VERSION} | state), path)


def load(folder: Path, name: str, settings: dict[str, Any], device: torch.device) -> dict[str, Any] | None:
    """What was saved there, None if nothing was; ValueError if it belongs to a run with other ``settings``."""
    path = folder / name
    if not path.exists():
        return None
    state: dict[str, Any] = read_plain(path, "checkpoint", "be a file of this library", device)
    version = state.get("version") if isinstance(state, dict) else None
    got = Text(f"{version!r} in {str(path)!r}")
    require(version == CHECKPOINT_VERSION, "checkpoint", f"be of version {CHECKPOINT_VERSION}", got)
    for key, value in settings.items():
        if key.rpartition(".")[2] in LATER and key not in state["settings"]:
            continue
        was = state["settings"].get(key)
        require(was == value, key, f"be {was!r}, as in the run to resume in {str(path)!r}", value)
    return state


def native(state: Any) -> Any:
    """``state`` with NumPy's numbers as Python's, which are all that a weights-only file may hold."""
    if isinstance(state, dict):
        return {key: native(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(native(value) for value in state)
    return state.item() if isinstance(state, np.generic) else state


def plain_setting(value: Any) -> Any:
    """A setting as a plain value that is the same in every process: numbers and words as they are, all else named."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain_setting(entry) for entry in value]
    return getattr(value, "__qualname__", None) or repr(value)


def run_settings(classifier: Any, attack: Any, randomization: Any, options: Any) -> dict[str, Any]:
    """What a resumed run must have alike, but for its data, as plain values by name."""
    settings: dict[str, Any] = {"randomization": repr(randomization)} | options.settings() | attack_settings(attack)
    settings |= optimizer_settings(classifier.optimizer)
    settings["classifier"] = model_settings(classifier.model)
    operations = classifier.preprocessing_operations
    settings["preprocessing"] = preprocessing_settings(operations)
    pipelines = {"randomization": randomization, "preprocessing": [getattr(op, "pipeline", None) for op in operations]}
    return settings | own_weights(pipelines)


def attack_settings(attack: Any) -> dict[str, Any]:
    """What an attack is, apart from what changes no result or is replaced in training."""
    left_out = {"batch_size", "verbose", "summary_writer", "seed"}
    names = [name for name in attack.attack_params if name not in left_out and hasattr(attack, name)]
    found = {"attack": type(attack).__name__} | {
        f"attack.{name}": plain_setting(getattr(attack, name)) for name in names
    }
    learned = getattr(attack, "digest", None)
    found |= {} if learned is None else {"attack.weights": learned}
    return found | own_weights({f"attack.{name}": getattr(attack, name) for name in names})


def own_weights(holding: dict[str, Any]) -> dict[str, Any]:
    """The hashes of the weights in pipelines, where modules of the user's own hold some: no words show those."""
    found = {f"{name}.weights": weights_in(value) for name, value in holding.items() if is_pipeline(value)}
    return {name: digest for name, digest in found.items() if digest is not None}


def is_pipeline(value: Any) -> bool:
    """Whether it is a pipeline, or a list of them and of nothing."""
    return isinstance(value, Pipeline) or (isinstance(value, list) and all(map(is_pipeline, filter(None, value))))


def domain_settings(domain: tuple[Tensor, Tensor] | None) -> str | None:
    """What a validation domain is that training follows, images and labels: a hash of them."""
    return None if domain is None else tensors_digest(dict(zip(("images", "labels"), domain, strict=True)))


def optimizer_settings(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What an optimizer is: its class and the hyperparameters of its groups."""
    found: dict[str, Any] = {"optimizer": type(optimizer).__name__}
    for number, group in enumerate(optimizer.param_groups):
        place = "optimizer" if number == 0 else f"optimizer group {number}"
        found |= {f"{place}.{name}": plain_setting(value) for name, value in group.items() if name != "params"}
    return found


def model_settings(model: nn.Module) -> str:
    """What a model is, apart from its values: how many numbers in how many tensors, and a hash of names and shapes."""
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    digest = hashlib.sha256(repr(shapes).encode()).hexdigest()[:8]
    return f"{sum(p.numel() for p in model.parameters())} weights in {len(shapes)} tensors ({digest})"


def preprocessing_settings(operations: list[Any]) -> list[str]:
    """What preprocesses the images, in words; an object that says nothing of itself by its class alone."""
    return [type(op).__name__ if repr(op) == object.__repr__(op) else repr(op) for op in operations]

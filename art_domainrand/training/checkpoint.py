"""A training run on disk: whole files only, loadable without unpickling code, resumed bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from art_domainrand.evaluation.files import whole_file

LAST, BEST = "last.pt", "best.pt"
VERSION = 1


def save(folder: Path, name: str, state: dict[str, Any]) -> None:
    """Write ``state``, made of tensors and plain values, to ``folder / name``, or leave what is there."""
    with whole_file(folder / name) as path:
        torch.save({"version": VERSION} | state, path)


def load(folder: Path, name: str, settings: dict[str, Any], device: torch.device) -> dict[str, Any] | None:
    """What was saved there, None if nothing was; ValueError if it belongs to a run with other ``settings``."""
    path = folder / name
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if state.get("version") != VERSION:
        raise ValueError(f"checkpoint must be of version {VERSION}, got {state.get('version')!r} in {str(path)!r}")
    for key, value in settings.items():
        was = state["settings"].get(key)
        if was != value:
            raise ValueError(f"{key} must be {was!r}, as in the run to resume in {str(path)!r}, got {value!r}")
    return state


def plain(value: Any) -> Any:
    """A setting as a plain value that is the same in every process: numbers and words as they are, all else named."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return getattr(value, "__qualname__", None) or repr(value)


def attack_settings(attack: Any) -> dict[str, Any]:
    """What an attack is, apart from what changes no result or is replaced in training."""
    left_out = {"batch_size", "verbose", "summary_writer", "seed"}
    names = [name for name in attack.attack_params if name not in left_out and hasattr(attack, name)]
    return {"attack": type(attack).__name__} | {f"attack.{name}": plain(getattr(attack, name)) for name in names}


def optimizer_settings(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What an optimizer is: its class and the hyperparameters of its groups."""
    found: dict[str, Any] = {"optimizer": type(optimizer).__name__}
    for number, group in enumerate(optimizer.param_groups):
        place = "optimizer" if number == 0 else f"optimizer group {number}"
        found |= {f"{place}.{name}": plain(value) for name, value in group.items() if name != "params"}
    return found

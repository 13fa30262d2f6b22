"""A training run on disk: whole files only, loadable without unpickling code, resumed bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
    differs = [key for key in settings if state["settings"].get(key) != settings[key]]
    if differs:
        key = differs[0]
        was = state["settings"].get(key)
        raise ValueError(f"{key} must be {was!r}, as in the run to resume in {str(path)!r}, got {settings[key]!r}")
    return state


def random_state() -> dict[str, Any]:
    """The global random states, which dropout (torch) and attacks without a seed (NumPy) draw from."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    kept = {"torch": torch.get_rng_state(), "numpy": torch.from_numpy(np.array(keys, dtype=np.int64))}
    return kept | {"numpy_rest": [str(name), int(position), int(has_gauss), float(gauss)]}


def restore_random_state(state: dict[str, Any]) -> None:
    """Continue the global random states from where they were."""
    torch.set_rng_state(state["torch"].cpu().to(torch.uint8))
    name, position, has_gauss, gauss = state["numpy_rest"]
    keys = state["numpy"].cpu().numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, gauss))  # noqa: NPY002


def to_device(state: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The tensors of a flat dictionary on ``device``."""
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in state.items()}

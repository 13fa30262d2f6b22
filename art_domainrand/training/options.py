"""The settings of the trainer, checked in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from art_domainrand.attacks.arguments import require
from art_domainrand.training.objectives import OBJECTIVES

SCHEDULES = ("cosine", "constant")
WAYS = (*OBJECTIVES, "fast", "free")
"""What ``objective`` can be."""


@dataclass(frozen=True)
class TrainingOptions:
    """See :class:`~art_domainrand.DomainAdversarialTrainer`, whose keyword arguments these are."""

    objective: str = "standard"
    weight: float | None = None
    awp: float = 0.0
    replays: int = 4
    eps_epochs: int = 0
    range_epochs: int = 0
    automatic_ranges: bool = False
    ema: float = 0.0
    schedule: str = "cosine"
    clip_norm: float | None = None
    autocast: torch.dtype | None = None
    channels_last: bool = False
    seed: int = 0
    checkpoint: str | Path | None = None
    log_dir: str | Path | None = None
    verbose: bool = True

    def __post_init__(self) -> None:
        require(self.objective in WAYS, "objective", f"be one of {list(WAYS)}", self.objective)
        for name in ("weight", "clip_norm"):
            value = getattr(self, name)
            require(value is None or is_number(value, 0), name, "be None or a number >= 0", value)
        require(is_number(self.awp, 0), "awp", "be a number >= 0", self.awp)
        require(is_number(self.ema, 0) and self.ema < 1, "ema", "be in [0, 1)", self.ema)
        for name, least in (("replays", 1), ("eps_epochs", 0), ("range_epochs", 0), ("seed", 0)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(whole and value >= least, name, f"be an int >= {least}", value)
        require(self.schedule in SCHEDULES, "schedule", f"be one of {list(SCHEDULES)}", self.schedule)
        half = (None, torch.bfloat16, torch.float16)
        require(self.autocast in half, "autocast", "be None, torch.bfloat16 or torch.float16", self.autocast)
        for name in ("automatic_ranges", "channels_last", "verbose"):
            require(isinstance(getattr(self, name), bool), name, "be a bool", getattr(self, name))
        both = self.automatic_ranges and self.range_epochs > 0
        require(not both, "range_epochs", "be 0 with automatic_ranges", self.range_epochs)

    def settings(self) -> dict[str, Any]:
        """What a resumed run must share with the one it resumes, as plain values."""
        kept = asdict(self)
        for name in ("checkpoint", "log_dir", "verbose"):
            kept.pop(name)
        return kept | {"autocast": str(self.autocast)}


def is_number(value: Any, least: float) -> bool:
    """Whether ``value`` is a real number of at least ``least``."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < float("inf")

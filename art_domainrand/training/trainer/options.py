"""The settings of the trainer, checked in one place."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from art_domainrand.core.arguments import nearest
from art_domainrand.core.checks import Text, require
from art_domainrand.training.learned.settings import RANGE_KINDS, AdversarialRanges, MetaRanges, RangeSettings
from art_domainrand.training.trainer.checkpoint import plain_setting
from art_domainrand.training.trainer.objectives import OBJECTIVES

RATE_SCHEDULES = ("cosine", "constant")
# One step of fast adversarial training, in units of eps (Wong et al. 2020, section 4).
FAST_STEP = 1.25
# Passes over a batch in free adversarial training, if the user does not say.
REPLAYS = 4
TINY = 1e-30  # a step must be positive, also where eps is zero

WAYS = (*OBJECTIVES, "fast", "free")
"""What ``objective`` can be."""


@dataclass(frozen=True)
class TrainingOptions:
    """See :class:`~art_domainrand.DomainAdversarialTrainer`, whose keyword arguments these are.

    An option is a field here, with its rule, and an argument there, with its default and what it means.
    """

    objective: str
    weight: float | None
    awp: float
    replays: int
    eps_epochs: int
    range_epochs: int
    automatic_ranges: bool
    ranges: Any
    ema: float
    schedule: str
    clip_norm: float | None
    autocast: torch.dtype | None
    memory_format: str | None
    seed: int
    checkpoint: str | Path | None
    log_dir: str | Path | None
    verbose: bool

    def __post_init__(self) -> None:
        known = isinstance(self.objective, str) and self.objective in WAYS
        require(known, "objective", f"be one of {list(WAYS)}", with_nearest(self.objective, WAYS))
        require(self.weight is None or is_number(self.weight), "weight", "be None or a number >= 0", self.weight)
        weighted = [name for name, objective in OBJECTIVES.items() if objective.weight is not None]
        rule = f"be None with objective={self.objective!r} (only {weighted} have a second term)"
        require(self.weight is None or self.objective in weighted, "weight", rule, self.weight)
        positive = self.clip_norm is None or (is_number(self.clip_norm) and self.clip_norm > 0)
        require(positive, "clip_norm", "be None or a number > 0", self.clip_norm)
        require(is_number(self.awp), "awp", "be a number >= 0", self.awp)
        both = self.awp > 0 and self.objective == "free"
        require(not both, "awp", 'be 0 with objective="free", whose one gradient serves both', self.awp)
        require(is_number(self.ema) and self.ema < 1, "ema", "be in [0, 1)", self.ema)
        for name, least in (("replays", 1), ("eps_epochs", 0), ("range_epochs", 0), ("seed", 0)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(whole and value >= least, name, f"be an int >= {least}", value)
        scheduled = isinstance(self.schedule, str) and self.schedule in RATE_SCHEDULES
        require(scheduled, "schedule", f"be one of {list(RATE_SCHEDULES)}", self.schedule)
        formats = self.memory_format in (None, "channels_last")
        require(formats, "memory_format", 'be None or "channels_last"', self.memory_format)
        half = self.autocast is None or self.autocast in (torch.bfloat16, torch.float16)
        require(half, "autocast", "be None, torch.bfloat16 or torch.float16", self.autocast)
        for name in ("automatic_ranges", "verbose"):
            require(isinstance(getattr(self, name), bool), name, "be a bool", getattr(self, name))
        for name in ("checkpoint", "log_dir"):
            place = getattr(self, name)
            require(place is None or isinstance(place, (str, Path)), name, "be None, a str or a Path", place)
        both = self.range_kind is not None and self.range_epochs > 0
        by = "automatic_ranges" if self.automatic_ranges else "ranges"
        require(not both, "range_epochs", f"be 0 with {by}", self.range_epochs)
        self.check_ranges()

    def check_ranges(self) -> None:
        """Check what moves the ranges."""
        known = self.ranges is None or isinstance(self.ranges, RangeSettings)
        known |= isinstance(self.ranges, str) and self.ranges in RANGE_KINDS
        rule = f"be None, one of {list(RANGE_KINDS)} or settings such as AdversarialRanges()"
        require(known, "ranges", rule, with_nearest(self.ranges, RANGE_KINDS))
        both = self.automatic_ranges and self.ranges is not None
        require(not both, "automatic_ranges", "be False with ranges", True)
        follows = isinstance(self.range_settings, (AdversarialRanges, MetaRanges))
        free = follows and self.objective == "free"
        require(not free, "ranges", 'not follow a gradient with objective="free", which has but one', self.ranges)

    @property
    def range_kind(self) -> Any:
        """What moves the ranges: a name, settings or None."""
        return "automatic" if self.automatic_ranges else self.ranges

    @property
    def range_settings(self) -> RangeSettings | None:
        """The settings of what moves the ranges, of a name its defaults."""
        kind = self.range_kind
        return RANGE_KINDS.get(kind) if isinstance(kind, str) else kind

    def warn_of_idle(self, *, randomized: bool) -> None:
        """Say which options have no effect on this run, ``randomized`` or not."""
        if self.replays != REPLAYS and self.objective != "free":
            warn(f'replays has no effect with objective={self.objective!r}; it is for "free"', 4)
        if self.objective in ("consistency", "augmix") and not randomized:
            warn(
                f'objective="{self.objective}" compares draws of a randomization; without one its second term is zero',
                4,
            )

    def warn_of_epochs(self, nb_epochs: int) -> None:
        """Say which curricula do not come to their end in ``nb_epochs``."""
        for name, end in (("eps_epochs", "the attack's eps"), ("range_epochs", "its full width")):
            if 0 < nb_epochs <= getattr(self, name):
                reached = nb_epochs / (getattr(self, name) + 1)
                warn(
                    f"{name} should be less than nb_epochs={nb_epochs}, got {getattr(self, name)}: "
                    f"the last epoch has {reached:.2g} of {end}",
                    4,
                )

    @property
    def channels_last(self) -> bool:
        """Whether convolutions run in that memory format."""
        return self.memory_format == "channels_last"

    def settings(self) -> dict[str, Any]:
        """What a resumed run must share with the one it resumes, as plain values."""
        idle = ("checkpoint", "log_dir", "verbose", "ranges")
        kept = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in idle}
        kept["ranges"] = None if self.ranges is None else repr(self.range_settings)
        return {name: plain_setting(value) for name, value in kept.items()} | {"autocast": str(self.autocast)}


def warn(message: str, stacklevel: int) -> None:
    """Say what is doubtful, at the line that calls the trainer, so many calls up."""
    warnings.warn(message, RuntimeWarning, stacklevel=stacklevel + 2)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite real number >= 0."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < float("inf")


def with_nearest(given: Any, known: Iterable[str]) -> Any:
    """What an error says of an unknown name ``given``: itself, and the nearest of those ``known``."""
    return Text(f"{given!r}{nearest(given, list(known))}") if isinstance(given, str) else given

"""What an attack may be asked for beyond its ball and its steps: names, defaults and checks of all options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch

from art_domainrand.core import checks as check
from art_domainrand.core.losses import LOSSES


@dataclass(frozen=True)
class Config:
    """The options of one call, read from the attributes of an attack, since ART's trainers write to those.

    What they mean is documented on :class:`~art_domainrand.PGD`. An attack takes some of them; the rest keep their
    defaults.

    :raises ValueError, TypeError: naming the argument, the rule and the value.
    """

    targeted: bool = False
    batch_size: int = 32
    verbose: bool = False
    seed: int | None = None
    memory_format: str | None = None
    autocast: torch.dtype | None = None
    compile: bool | str = False
    eot_samples: int = 1
    eot_draws: str = "fresh"
    randomization: Any = None
    loss: Any = None
    early_stop: bool = False
    keep_best: bool = False
    quantize: bool = False
    step_schedule: str = "constant"
    # Which of several calls this is, where they shall not meet the same random numbers: a trainer counts its steps.
    _round: int = 0

    @classmethod
    def of(cls, attack: Any) -> Config:
        """The options that are attributes of ``attack``."""
        return cls(**{f.name: getattr(attack, f.name) for f in fields(cls) if hasattr(attack, f.name)})

    def __post_init__(self) -> None:
        check.check_counts(batch_size=self.batch_size, eot_samples=self.eot_samples)
        check.require(self.eot_samples >= 1, "eot_samples", "be >= 1", self.eot_samples)
        check.check_flags(
            **{name: getattr(self, name) for name in ("targeted", "verbose", "early_stop", "keep_best", "quantize")}
        )
        check.check_device_options(self.seed, self.memory_format, self.autocast)
        backend = isinstance(self.compile, (bool, str))
        check.require(backend, "compile", "be a bool or the name of a backend", self.compile)
        check_name("eot_draws", self.eot_draws, list(EOT_DRAWS))
        check_name("step_schedule", self.step_schedule, list(SCHEDULES))
        named = isinstance(self.loss, str) and self.loss in LOSSES
        rule = f"be None, one of {list(LOSSES)} or a function of scores and labels"
        own = callable(self.loss) and not isinstance(self.loss, str)
        check.require(self.loss is None or named or own, "loss", rule, self.loss)

    def beyond_art(self, *, own_cross_entropy: bool) -> list[str]:
        """The options that ask for more than ART's own algorithm, which looks at gradients alone on the way.

        Where the estimator's own loss is the cross-entropy, asking for it by name asks for nothing.
        """
        own = Config(loss="cross_entropy" if own_cross_entropy and self.loss == "cross_entropy" else None)
        return [name for name in BEYOND_ART if getattr(self, name) != getattr(own, name)]


EOT_DRAWS = {"fresh": "uniform", "common": "uniform", "antithetic": "antithetic", "sobol": "sobol"}
"""``eot_draws`` -> the method of ``Pipeline.sample``; "common" keeps the draws of the first step."""

SCHEDULES = ("constant", "cosine", "halving")
"""PGD's ``step_schedule``."""

BEYOND_ART = ("eot_samples", "randomization", "loss", "early_stop", "keep_best", "quantize", "step_schedule")


def check_name(argument: str, name: Any, known: list[str]) -> None:
    """Check that a name is one of those ``known``."""
    check.require(isinstance(name, str) and name in known, argument, f"be one of {known}", name)

"""A stage of a search: what is wanted, where to start, how to step, and what to keep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.steps import StepRule
from art_domainrand.core.norms import Ball

Start = Callable[[int, int, Ball, Which], Tensor]
"""Number of the stage, restart, balls and samples (A,) -> where they start, (A, ...)."""

LeadUp = Callable[[Tensor, int, int, Which], Tensor]
"""Starts (A, ...), number of the stage, restart and samples (A,) -> where their judged steps begin, (A, ...)."""

Observe = Callable[[int, Tensor, Tensor, Which], None]
"""Number of the step, gradient and points (A, ...), and whose they are: told before each step."""


class BatchRunner(Protocol):
    """What runs a batch to its end and writes down what it has found."""

    def run(self) -> None:
        """Do so."""


HowToRun = Callable[[Any, Any, BestSoFar, Which, tuple[int, int, int]], BatchRunner]
"""Inputs, stage, what was found so far, the samples of a batch; number of the stage, first restart, how many of them.

With an attribute ``consecutive`` it is given slices, and one restart at a time.
"""


class AnyStage(Protocol):
    """What a search needs to know of a stage, whatever it searches."""

    @property
    def name(self) -> str: ...
    @property
    def way(self) -> HowToRun: ...
    @property
    def restarts(self) -> int: ...
    @property
    def early_stop(self) -> bool: ...
    @property
    def whole_batches(self) -> bool: ...
    @property
    def worthwhile(self) -> Callable[[Tensor, Tensor], Tensor] | None: ...
    @property
    def after(self) -> Callable[[BestSoFar], None] | None: ...


@dataclass(frozen=True)
class Stage:
    """One attack on the samples that are left.

    :param name: What the progress bar says.
    :param way: What runs a batch.
    :param around: Some samples -> the balls that may be searched.
    :param criterion: Some samples -> what is wanted of them.
    :param steps: Balls, mask and samples -> the step rule.
    :param start: Where restart 0, 1, ... starts, given the stage's number.
    :param max_iter: Steps per restart.
    :param restarts: How often to start.
    :param early_stop: A sample leaves once it is fooled, and its later restarts are not run.
    :param keep_best: The result is the point of largest margin on the way, else the last one.
    :param worthwhile: Samples (A,) and the largest margins (A,) found before -> which of them to run on.
    :param samples: How many draws a gradient is a mean over, if not what the user says.
    :param whole_batches: Run all restarts of one batch before the next, as ART's PGD does.
    :param later_success: A success replaces an earlier one, as in ART, where ``way`` compares ends of restarts.
    :param judge_start: Whether the start may be the result; not so in ART's minimal FGSM.
    :param observe: Told of each step.
    :param after: Told of what was found, once the stage has run.
    :param lead_up: What leads from a start to where points are judged, by steps that may leave the ball; a ``way``
        that goes by gradients alone has none.
    """

    name: str
    way: HowToRun
    around: Callable[[Which], Ball]
    criterion: Callable[[Which], Criterion]
    steps: Callable[[Ball, Tensor | None, Which], StepRule]
    start: Start
    max_iter: int
    restarts: int = 1
    early_stop: bool = True
    keep_best: bool = True
    worthwhile: Callable[[Tensor, Tensor], Tensor] | None = None
    samples: int | None = None
    whole_batches: bool = False
    later_success: bool = False
    judge_start: bool = True
    observe: Observe | None = None
    after: Callable[[BestSoFar], None] | None = None
    lead_up: LeadUp | None = None

    @property
    def compares(self) -> bool:
        """Whether it matters which of two examples is the better one."""
        return self.early_stop or self.keep_best or self.restarts > 1

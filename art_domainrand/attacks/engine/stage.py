"""A stage of a search: what is wanted, where to start, how to step, and what to keep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from art_domainrand.attacks.engine.balls import Balls, Start
from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.steps import StepRule
from art_domainrand.core.norms import Ball

Observe = Callable[[int, Tensor, Tensor, Which], None]
"""Number of the step, gradient and points (A, ...), and whose they are: told before each step."""


class Run(Protocol):
    """What runs a batch to its end and writes down what it has found."""

    def run(self) -> None:
        """Do so."""


Way = Callable[[Inputs, Any, BestSoFar, Which, tuple[int, int, int]], Run]
"""Inputs, stage, what was found so far, the samples of a batch; number of the stage, first restart, how many of them.

With an attribute ``consecutive`` it is given slices, and one restart at a time.
"""


class AnyStage(Protocol):
    """What a search needs to know of a stage, whatever it searches."""

    @property
    def name(self) -> str: ...
    @property
    def way(self) -> Way: ...
    @property
    def restarts(self) -> int: ...
    @property
    def early_stop(self) -> bool: ...
    @property
    def whole_batches(self) -> bool: ...
    @property
    def worthwhile(self) -> Callable[[Tensor, Tensor], Tensor] | None: ...


@dataclass(frozen=True)
class Stage:
    """One attack on the samples that are left.

    ``criterion(which)`` and ``steps(ball, mask, which)`` belong to some samples; ``start(number, restart, ball,
    which)`` returns where restart 0, 1, ... starts, given the stage's number. With ``early_stop`` a sample leaves once
    it is fooled, and its later restarts are not run. With ``keep_best`` the result is the point of largest margin
    on the way, else the last one. ``worthwhile(ids, margin)`` says which samples (A,) to run on, given the largest
    margins (A,) found before. ``samples`` is how many draws a gradient is a mean over, if not what the user says.

    ``way`` is what runs a batch. What ART does is said by three more: ``whole_batches`` runs all restarts of one batch
    before the next; ``later_success`` lets a success replace an earlier one; without ``judge_start`` the start is no
    result.
    """

    name: str
    way: Way
    balls: Balls
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

    @property
    def compares(self) -> bool:
        """Whether it matters which of two examples is the better one."""
        return self.early_stop or self.keep_best or self.restarts > 1

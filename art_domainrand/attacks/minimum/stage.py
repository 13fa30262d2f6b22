"""A stage of a search for the closest adversarial examples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from art_domainrand.attacks.engine.best import Which
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.stage import HowToRun
from art_domainrand.attacks.minimum.problem import Problem
from art_domainrand.attacks.minimum.rule import MinimumSteps


@dataclass(frozen=True)
class Known:
    """What is known when a stage begins of the samples ``which`` (A,).

    ``nearest`` (A, ...) are their closest adversarial points so far and ``distance`` (A,) how far these are: the images
    and infinity where there is none. ``keys`` (A,) are for random numbers of this stage.
    """

    which: Tensor
    nearest: Tensor
    distance: Tensor
    keys: Callable[[], Tensor]


StartFrom = Callable[[Problem, Known], Tensor]
"""The images of a batch and what is known of them -> where to start, (A, ...)."""


@dataclass(frozen=True)
class MinimumStage:
    """One attack on the samples that are not misclassified as they are.

    :param name: What the progress bar says.
    :param way: What runs a batch.
    :param norm: 0, 1, 2 or inf.
    :param criterion: Some samples -> what is wanted of them.
    :param steps: The images of a batch and what is known of them -> the step rule.
    :param start: Where to start.
    :param max_iter: Points looked at, each by a forward and a backward pass.
    :param samples: How many draws a gradient is a mean over, if not what the user says.
    """

    name: str
    way: HowToRun
    norm: float
    criterion: Callable[[Which], Criterion]
    steps: Callable[[Problem, Known], MinimumSteps]
    start: StartFrom
    max_iter: int
    samples: int | None = None
    restarts: ClassVar[int] = 1
    early_stop: ClassVar[bool] = False
    whole_batches: ClassVar[bool] = False
    after: ClassVar[None] = None

    @staticmethod
    def worthwhile(ids: Tensor, margin: Tensor) -> Tensor:
        """Which samples are not at distance 0 yet; the margin of a :class:`MinimumRun` is minus the distance."""
        return margin != 0


def from_image(problem: Problem, known: Known) -> Tensor:
    """Start at the images, brought into the box."""
    return problem.clip(problem.x)


def from_nearest(problem: Problem, known: Known) -> Tensor:
    """Start at the closest adversarial points so far."""
    return known.nearest

"""Who judges a condition while it is performed, and what it hands back: images to be judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.judge import Judge, Judgement
from art_domainrand.evaluation.running.passes import Meter, Passes


def no_words(place: int) -> str:
    """What to say of a change that its condition's name says all about."""
    return ""


def spelt_out(said: str, parameters: dict[str, str]) -> str:
    """What was done in words: ``said``, and the parameters of a draw without their numbers in the pipeline."""
    texts = [f"{name.partition(' ')[2]} {text}" for name, text in parameters.items()]
    return ", ".join([*([said] if said else []), *texts])


@dataclass(frozen=True, eq=False)
class Changed:
    """The images that one draw of a condition makes of a block.

    :param images: what is judged, in the form of ``given``.
    :param given: what the condition, or its last step, was given: distances are measured from there.
    :param passes: what it took to find the images, and to judge them where ``verdict`` says that this has been done.
    :param words: from a place in the block to what was done to the image there.
    :param verdict: what the model says of the images, if it has been asked.
    """

    images: NDArray[np.float32]
    given: NDArray[np.float32]
    passes: Passes
    words: Callable[[int], str] = field(default=no_words)
    verdict: Judgement | None = None


Draws: TypeAlias = list[Changed]
"""What a condition makes of a block, draw by draw."""


@dataclass(frozen=True)
class Performance:
    """Who judges, who counts, and where a condition stands in a chain of them.

    :param judge: asks the model.
    :param meter: counts passes.
    :param path: numbers that tell this step from the others of its chain, and the draw of the step before.
    """

    judge: Judge
    meter: Meter
    path: tuple[int, ...] = ()

    @property
    def estimator(self) -> Any:
        """What is judged."""
        return self.judge.estimator

    def after(self, draw: int) -> Self:
        """What comes next, on the images of a draw.

        :param draw: which draw.
        """
        return replace(self, path=(*self.path, 1 + draw))

    def verdict(self, block: Block) -> tuple[Judgement, Passes]:
        """What the model says of a block, and the passes that it took.

        :param block: the samples.
        """
        return self.meter.measured(lambda: self.judge.verdict(block.x, block.samples, block.y), len(block))

"""What a condition is performed on, and what it hands back: samples, and images to be judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.checks import Text, check_counts, require
from art_domainrand.evaluation.running.judge import Judge, Judgement
from art_domainrand.evaluation.running.passes import Meter, Passes


@dataclass(frozen=True, eq=False)
class Block:
    """Some of the samples of the data, with all that random numbers depend on.

    :param samples: their places in the data, (n,) int64.
    :param x: the images, (n, C, H, W) float32 in the estimator's range; (n, H, W, C) where it has channels last.
    :param y: class indices, (n,) int64.
    :param sources: the names of their files, or "" for each.
    :param seed: of the evaluation.
    :param batch_size: how many images the model is shown at a time.
    :raises ValueError: for parts of different length, labels that are no class indices and another batch size.
    """

    samples: NDArray[np.int64]
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    sources: tuple[str, ...]
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size)
        n = len(self.samples)
        for name, part in (("x", self.x), ("y", self.y), ("sources", self.sources)):
            require(len(part) == n, name, f"have {n} entries, as samples has", len(part))
        whole = np.ndim(self.y) == 1 and np.issubdtype(np.asarray(self.y).dtype, np.integer)
        require(whole, "y", "hold class indices (n,)", Text(f"{self.y.dtype} of shape {np.shape(self.y)}"))
        require(not n or self.y.min() >= 0, "y", "hold class indices >= 0", self.y.min(initial=0))

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, which: NDArray[Any]) -> Self:
        """Some of the samples.

        :param which: their places in the block, or whether each is taken.
        """
        places = np.arange(len(self))[which]
        sources = tuple(self.sources[i] for i in places)
        return replace(self, samples=self.samples[places], x=self.x[places], y=self.y[places], sources=sources)

    def showing(self, x: NDArray[np.float32]) -> Self:
        """The same samples with other images.

        :param x: the images, in the form of ``self.x``.
        """
        return replace(self, x=x)


def no_words(place: int) -> str:
    """What to say of a change that its condition's name says all about."""
    return ""


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

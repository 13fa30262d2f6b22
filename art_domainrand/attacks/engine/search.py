"""The one search: stages of restarts, batch by batch, and the best example of every image over all of them."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Self

import torch
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.stage import AnyStage

Batch = tuple[Which, int, int]
"""Whose turn it is, from which restart on, and how many restarts share the batch."""


def search(inputs: Inputs, stages: Sequence[AnyStage]) -> BestSoFar:
    """Run all stages on the inputs.

    :return: The best example of each image, where the images are.

    Memory beyond that is for one batch. Says how many samples met a gradient that was not finite.
    """
    best = BestSoFar.into(torch.empty_like(inputs.x), inputs.device)
    with Progress(inputs, stages) as progress:
        for number, stage in enumerate(stages):
            progress.begin(stage)
            for which, restart, together in batches(inputs, stage, best, progress):
                stage.way(inputs, stage, best, which, (number, restart, together)).run()
            progress.end(stage)
            if stage.after is not None:
                stage.after(best)
    report_tainted(best.tainted)
    return best


class Progress:
    """One bar for all stages, in samples times restarts; it says which stage runs.

    What a stage does not run, because a sample is fooled or it is not worth while, counts as done when the stage ends.
    """

    def __init__(self, inputs: Inputs, stages: Sequence[AnyStage]) -> None:
        self.samples, self.done = len(inputs), 0
        total = self.samples * sum(stage.restarts for stage in stages)
        self.bar = tqdm(total=total, leave=False, disable=not inputs.config.verbose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def begin(self, stage: AnyStage) -> None:
        """Say that a stage runs."""
        self.bar.set_description(stage.name)

    def advance(self, count: int) -> None:
        """So many samples more have been run."""
        self.bar.update(count)

    def end(self, stage: AnyStage) -> None:
        """A stage is over."""
        self.done += self.samples * stage.restarts
        self.bar.update(self.done - self.bar.n)


def batches(inputs: Inputs, stage: AnyStage, best: BestSoFar, progress: Progress) -> Iterator[Batch]:
    """What to run, one after the other; with ``early_stop`` on the unbroken only.

    Restarts run one after the other while they fill batches; when few samples are left, several restarts of each share
    a batch.
    """
    consecutive = getattr(stage.way, "consecutive", False)
    whole: Which = slice(0, len(inputs))
    if not consecutive:
        ids = torch.arange(len(inputs), device=inputs.device)
        ids = ids[~best.fooled] if stage.early_stop else ids
        whole = ids if stage.worthwhile is None else ids[stage.worthwhile(ids, best.margin[ids])]
    blocks = parts(whole, inputs.config.batch_size) if stage.whole_batches else [whole]
    for block in blocks:
        restart = 0
        while restart < stage.restarts and size(block):
            left = stage.restarts - restart
            together = 1 if consecutive else max(1, min(left, inputs.config.batch_size // size(block)))
            for part in parts(block, inputs.config.batch_size):
                yield part, restart, together
                progress.advance(together * size(part))
            restart += together
            if stage.early_stop and not isinstance(block, slice):
                block = block[~best.fooled[block]]


def parts(which: Which, most: int) -> list[Which]:
    """Some samples, at most so many at a time."""
    if isinstance(which, slice):
        return [slice(first, min(first + most, which.stop)) for first in range(which.start, which.stop, most)]
    return [which[first : first + most] for first in range(0, len(which), most)]


def size(which: Which) -> int:
    """How many samples."""
    return which.stop - which.start if isinstance(which, slice) else len(which)


def report_tainted(tainted: Tensor) -> None:
    """Warn with the number of samples whose gradient was not finite."""
    count = int(tainted.sum())
    if count:
        warnings.warn(
            f"{count} of {len(tainted)} samples met a non-finite loss gradient; NaN entries counted as 0 there, so "
            "surviving the attack does not show that these samples are robust",
            RuntimeWarning,
            stacklevel=4,
        )

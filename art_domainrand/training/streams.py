"""The randomness that a training run finds: the streams of preprocessors and modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from art_domainrand.core.random import RANK
from art_domainrand.core.streams import Stream
from art_domainrand.preprocessors.base import PipelinePreprocessor


def streams_of(classifier: Any) -> list[Stream]:
    """The private streams of the classifier's own random preprocessors, and of such modules in its model."""
    own = [module.randomization for module in randomized_modules(classifier.model)]
    found = (getattr(operation, "_stream", None) for operation in (*classifier.preprocessing_operations, *own))
    return [stream for stream in found if isinstance(stream, Stream)]


def randomized_modules(model: nn.Module) -> list[Any]:
    """The modules in ``model`` that randomize their input, as those of :func:`art_domainrand.randomized` do."""
    own = (getattr(module, "randomization", None) for module in model.modules())
    return [module for module, held in zip(model.modules(), own, strict=True) if isinstance(held, PipelinePreprocessor)]


@contextmanager
def own_branches(streams: list[Stream], rank: int) -> Iterator[None]:
    """Let the streams of every process but the first go on paths of their own, so that all draw differently."""
    with ExitStack() as stack:
        for stream in streams if rank else ():
            stack.enter_context(stream.branched(RANK, rank))
        yield

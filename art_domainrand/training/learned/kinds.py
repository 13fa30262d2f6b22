"""From settings to the ranges of a training run."""

from __future__ import annotations

import torch

from art_domainrand.core.arrays import from_array
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.training.learned.ascent import AscendingRanges
from art_domainrand.training.learned.entropy import EntropyMaximizingRanges
from art_domainrand.training.learned.odds import GroupOdds
from art_domainrand.training.learned.settings import (
    AdversarialRanges,
    AutomaticSettings,
    DoraemonRanges,
    GroupRanges,
    MetaRanges,
    RangeSettings,
)
from art_domainrand.training.learned.validation import MetaLearnedRanges
from art_domainrand.training.trainer.ranges import AutomaticRanges, Ranges


def ranges_of(settings: RangeSettings | None, pipeline: Pipeline | None) -> Ranges:
    """The ranges of a run before its first batch; without settings, those of a curriculum by epochs."""
    if settings is None or pipeline is None:
        return Ranges(pipeline)
    if isinstance(settings, AutomaticSettings):
        return AutomaticRanges(pipeline)
    if isinstance(settings, GroupRanges):
        return GroupOdds(pipeline, settings.rate)
    if isinstance(settings, DoraemonRanges):
        bound, step = settings.success, settings.step
        return EntropyMaximizingRanges(pipeline, bound, step, settings.buffer, settings.first_width)
    if isinstance(settings, AdversarialRanges):
        return AscendingRanges(pipeline, settings)
    return meta_learned(settings, pipeline)


def meta_learned(settings: MetaRanges, pipeline: Pipeline) -> MetaLearnedRanges:
    """Ranges that follow a validation domain, whose images become tensors."""
    domain = None
    if settings.validation_domain is not None:
        x, y = (part if isinstance(part, torch.Tensor) else from_array(part) for part in settings.validation_domain)
        domain = (x.to(torch.float32), y.to(torch.int64))
    return MetaLearnedRanges(pipeline, settings, domain)

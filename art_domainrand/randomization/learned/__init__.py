"""Ranges that are learned: where in a pipeline's own limits its values are drawn."""

from art_domainrand.randomization.learned.groups import group_weights
from art_domainrand.randomization.learned.meta import meta_gradient
from art_domainrand.randomization.learned.ranges import LearnableRanges
from art_domainrand.randomization.learned.unrolled import MetaGradient

__all__ = ["LearnableRanges", "MetaGradient", "group_weights", "meta_gradient"]

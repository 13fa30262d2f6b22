"""Ranges that move while a model is trained on them: what ``DomainAdversarialTrainer(ranges=...)`` takes."""

from art_domainrand.training.learned.settings import AdversarialRanges, DoraemonRanges, GroupRanges, MetaRanges

__all__ = ["AdversarialRanges", "DoraemonRanges", "GroupRanges", "MetaRanges"]

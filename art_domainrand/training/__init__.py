"""Training that is robust: data, modules and trainers that put attacks and randomization to work."""

from art_domainrand.training.data.generator import RandomizedDataGenerator
from art_domainrand.training.fitting import fit_randomized
from art_domainrand.training.learned.settings import AdversarialRanges, DoraemonRanges, GroupRanges, MetaRanges
from art_domainrand.training.population.search import SearchResult, search_pipeline
from art_domainrand.training.trainer.trainer import DomainAdversarialTrainer

__all__ = [
    "AdversarialRanges",
    "DomainAdversarialTrainer",
    "DoraemonRanges",
    "GroupRanges",
    "MetaRanges",
    "RandomizedDataGenerator",
    "SearchResult",
    "fit_randomized",
    "search_pipeline",
]

"""Training that is robust: data, modules and trainers that put attacks and randomization to work."""

from art_domainrand.training.trainer import DomainAdversarialTrainer

__all__ = ["DomainAdversarialTrainer"]

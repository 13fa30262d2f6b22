"""The attack that a training run uses: the user's, with randomness of its own, or the one step of fast training."""

from __future__ import annotations

from copy import copy
from typing import Any

from art_domainrand.attacks.pgd import PGD
from art_domainrand.training.trainer.options import FAST_STEP, TINY, TrainingOptions


def training_attack(attack: Any, options: TrainingOptions) -> Any:
    """A copy of ``attack``; with "fast", one step of PGD in its ball from a random start.

    It is to be seeded in every epoch. Its random numbers hang on the seed and the pixels of an image alone, so they do
    not depend on how many processes there are.
    """
    given: Any = attack
    own: Any = copy(attack)
    if options.objective == "fast":
        own = PGD(
            given.estimator,
            given.norm,
            given.eps,
            FAST_STEP * given.eps + TINY,
            max_iter=1,
            num_random_init=1,
            memory_format=given.memory_format,
            compile=given.compile,
        )
    own.autocast = given.autocast if options.autocast is None else options.autocast
    own.batch_size, own.verbose = 2**31, False
    return own

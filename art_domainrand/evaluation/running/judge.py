"""Stand-in."""

from __future__ import annotations

from typing import Any

import torch

from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.estimators import open_estimator


def is_random_model(estimator: Any, x: Any) -> bool:
    """Whether predictions vary."""
    with seeded_global_rng(0), open_estimator(estimator) as source:
        return is_random(source, torch.as_tensor(x))
